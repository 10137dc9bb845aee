// System calls that Node has no way to, or only a long one: writes to a socket past its streams, files sent
// from the kernel's own memory, waiting for processes that others have started, scheduling. Linux, Node-API 8
// (Node 20 and newer, any build).
//
// No function here keeps anything, waits, or looks at what the bytes mean: descriptors and lengths come
// from src/native/, which says when each may be called. Errors are given back as -errno.

#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

// A response head is 200 to 400 bytes; longer text goes through Node.
enum { TEXT_MAX = 16 * 1024, PIECES_MAX = 16 };

// MFD_NOEXEC_SEAL, which older headers lack: a system may refuse files in memory that could be run.
enum { NOEXEC_SEAL = 8 };

// A file is looked at so often whether it is in memory: what the kernel reads ahead of itself is larger.
enum { STRIDE = 256 * 1024 };

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  return napi_create_int64(env, value, &result) == napi_ok ? result : NULL;
}

// Of other arrays the length would not be in bytes.
static int take_bytes(napi_env env, napi_value value, void **bytes, size_t *length) {
  napi_typedarray_type type;
  return napi_get_typedarray_info(env, value, &type, length, bytes, NULL, NULL) == napi_ok && type == napi_uint8_array;
}

// Text is put behind what is in `text` already. False: of another type, or more text than there is room for.
static int take(napi_env env, napi_value value, struct iovec *piece, char *text, size_t *used) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return 0;
  if (type == napi_string) {
    size_t length;
    if (napi_get_value_string_latin1(env, value, NULL, 0, &length) != napi_ok) return 0;
    if (length >= TEXT_MAX - *used) return 0;
    char *start = text + *used;
    // Ends it with a NUL, for which there is room.
    if (napi_get_value_string_latin1(env, value, start, length + 1, &length) != napi_ok) return 0;
    *used += length;
    *piece = (struct iovec){start, length};
    return 1;
  }
  return take_bytes(env, value, (void **)&piece->iov_base, &piece->iov_len);
}

// send(socket, ...pieces): how many bytes of all pieces the kernel has taken. Pieces are Latin-1 text and Uint8Arrays.
static napi_value send_pieces(napi_env env, napi_callback_info info) {
  napi_value args[1 + PIECES_MAX];
  size_t count = 1 + PIECES_MAX;
  int32_t socket;
  char text[TEXT_MAX];
  size_t used = 0;
  struct iovec pieces[PIECES_MAX];
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (count < 2 || count > 1 + PIECES_MAX || napi_get_value_int32(env, args[0], &socket) != napi_ok)
    return number(env, -EINVAL);
  for (size_t index = 1; index < count; index++)
    if (!take(env, args[index], &pieces[index - 1], text, &used)) return number(env, -EINVAL);
  struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count - 1};
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  ssize_t sent;
  do sent = count == 2 ? send(socket, pieces->iov_base, pieces->iov_len, flags) : sendmsg(socket, &message, flags);
  while (sent < 0 && errno == EINTR);
  return number(env, sent < 0 ? -errno : sent);
}

// Whether the byte is in memory, so that to send it waits for no disk.
static int is_cached(int file, off_t offset) {
  char byte;
  struct iovec one = {&byte, 1};
  // musl has a function for it since 1.2.5 only. The upper half of the offset is looked at where a long has 32 bits.
  return syscall(SYS_preadv2, file, &one, 1, offset, 0L, RWF_NOWAIT) == 1;
}

// How far from `start` on, at most to `end`, the file seems to be in memory.
static off_t cached_until(int file, off_t start, off_t end) {
  if (start >= end || !is_cached(file, start)) return start;
  for (off_t at = start; at < end;) {
    off_t next = end - at < STRIDE ? end : at + STRIDE;
    if (!is_cached(file, next - 1)) return at;
    at = next;
  }
  return end;
}

// sendFile(socket, text, file, offset, length, isKept): how many bytes the kernel has put into the socket: of the text, which
// may be empty, and of the file from the offset on. Fewer than all: the socket is full or gone, the file not in
// memory or shorter; another way will find out which. isKept: it was made by keep(), and is in memory.
static napi_value send_file(napi_env env, napi_callback_info info) {
  napi_value args[6];
  size_t count = 6;
  int32_t socket, file;
  int64_t start, length;
  bool is_kept;
  char text[TEXT_MAX];
  size_t used = 0;
  struct iovec head;
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) return NULL;
  if (count < 6 || napi_get_value_int32(env, args[0], &socket) != napi_ok || !take(env, args[1], &head, text, &used) ||
      napi_get_value_int32(env, args[2], &file) != napi_ok || napi_get_value_int64(env, args[3], &start) != napi_ok ||
      napi_get_value_int64(env, args[4], &length) != napi_ok || napi_get_value_bool(env, args[5], &is_kept) != napi_ok ||
      start < 0 || length < 0)
    return number(env, 0);
  off_t offset = start;
  off_t end = is_kept ? start + length : cached_until(file, start, start + length);
  // A head alone is for others to send: here it would wait for what follows.
  if (end == start) return number(env, 0);
  if (head.iov_len > 0) {
    // The file follows in the same packet.
    ssize_t sent = send(socket, head.iov_base, head.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
    if (sent < (ssize_t)head.iov_len) return number(env, sent < 0 ? 0 : sent);
  }
  // One call where it can be: at the end of each the kernel hurries what there is on its way, in smaller packets.
  while (offset < end) {
    ssize_t sent = sendfile(socket, file, &offset, (size_t)(end - offset));
    if (sent == 0 || (sent < 0 && errno != EINTR)) break;
  }
  return number(env, head.iov_len + (offset - start));
}

// keep(bytes): a file without a name that holds them, in memory, and that nobody can change. Gives its descriptor.
static napi_value keep(napi_env env, napi_callback_info info) {
  napi_value arg;
  size_t count = 1, length;
  char *bytes;
  if (napi_get_cb_info(env, info, &count, &arg, NULL, NULL) != napi_ok) return NULL;
  if (count < 1 || !take_bytes(env, arg, (void **)&bytes, &length)) return number(env, -EINVAL);
  int file = (int)syscall(SYS_memfd_create, "portico", MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);
  // Before Linux 6.3 the last of them is not known.
  if (file < 0 && errno == EINVAL)
    file = (int)syscall(SYS_memfd_create, "portico", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return number(env, -errno);
  for (size_t at = 0; at < length;) {
    ssize_t written = write(file, bytes + at, length - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      int error = errno;
      close(file);
      return number(env, -error);
    }
    at += written;
  }
  fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return number(env, file);
}

// A process number: 0 and below would mean groups, and "any".
static int take_pid(napi_env env, napi_callback_info info, int32_t *pid) {
  napi_value arg;
  size_t count = 1;
  return napi_get_cb_info(env, info, &count, &arg, NULL, NULL) == napi_ok && count == 1 &&
         napi_get_value_int32(env, arg, pid) == napi_ok && *pid > 0;
}

// waitFor(pid): takes note of the end of a child, so that it is no zombie any more. Gives its number, or 0 if it lives.
static napi_value wait_for(napi_env env, napi_callback_info info) {
  int32_t pid;
  if (!take_pid(env, info, &pid)) return number(env, -EINVAL);
  pid_t ended = waitpid(pid, NULL, WNOHANG);
  return number(env, ended < 0 ? -errno : ended);
}

// scheduleAsBatch(pid): the process's main thread, and what it starts from then on, is a batch task. 0: done.
static napi_value schedule_as_batch(napi_env env, napi_callback_info info) {
  int32_t pid;
  struct sched_param priority = {0};
  if (!take_pid(env, info, &pid)) return number(env, -EINVAL);
  // musl's function of this name always fails.
  return number(env, syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &priority) < 0 ? -errno : 0);
}

static const struct {
  const char *name;
  napi_callback callback;
} functions[] = {
    {"send", send_pieces},
    {"sendFile", send_file},
    {"keep", keep},
    {"waitFor", wait_for},
    {"scheduleAsBatch", schedule_as_batch},
};

static napi_value init(napi_env env, napi_value exports) {
  for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
    napi_value function;
    const char *name = functions[index].name;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, functions[index].callback, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, name, function) != napi_ok)
      return NULL;
  }
  return exports;
}

NAPI_MODULE(portico, init)
