// Writes to a socket past Node's streams, and what files that the kernel sends need. Nothing here keeps anything,
// waits, or looks at what the bytes mean.

#include "native.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

enum { PIECES_MAX = 16 };

// A file is looked at so often whether it is in memory: what the kernel reads ahead of itself is larger.
enum { STRIDE = 256 * 1024 };

// send(socket, ...pieces): how many bytes of all pieces the kernel has taken. Pieces are Latin-1 text and Uint8Arrays.
napi_value send_pieces(napi_env env, napi_callback_info info) {
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
    if (!take_text_or_bytes(env, args[index], &pieces[index - 1], text, &used)) return number(env, -EINVAL);
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
off_t cached_until(int file, off_t start, off_t end) {
  if (start >= end || !is_cached(file, start)) return start;
  for (off_t at = start; at < end;) {
    off_t next = end - at < STRIDE ? end : at + STRIDE;
    if (!is_cached(file, next - 1)) return at;
    at = next;
  }
  return end;
}

bool take_file_call(napi_env env, napi_callback_info info, struct file_call *call, char *text) {
  napi_value args[6];
  size_t count = 6, used = 0;
  return napi_get_cb_info(env, info, &count, args, NULL, NULL) == napi_ok && count >= 6 &&
         napi_get_value_int32(env, args[0], &call->name) == napi_ok &&
         take_text_or_bytes(env, args[1], &call->head, text, &used) &&
         napi_get_value_int32(env, args[2], &call->file) == napi_ok &&
         napi_get_value_int64(env, args[3], &call->start) == napi_ok &&
         napi_get_value_int64(env, args[4], &call->length) == napi_ok &&
         napi_get_value_int64(env, args[5], &call->believed_ms) == napi_ok &&
         call->start >= 0 && call->length >= 0 &&
         call->length <= INT64_MAX - call->start && call->believed_ms >= 0 && call->believed_ms <= INT32_MAX;
}

// What it is the head of follows in the same packet.
ssize_t send_head(int socket, struct iovec head) {
  if (head.iov_len == 0) return 0;
  return send(socket, head.iov_base, head.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
}
