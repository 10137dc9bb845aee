// Memory whose pages the kernel sends as they are, without a copy: vmsplice(2) puts them into a pipe, splice(2) takes them from
// there to a socket. What is on its way is in those pages: they are written once, and never used again.

#include "native.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

// Aligned so that the system can use one of its huge pages: to lend it is one step, where each small page is one.
enum { HUGE_BYTES = 2 * 1024 * 1024 };
enum { ALL_BYTES_MAX = 1 << 30 };
// At a time; where the system allows less, so much as that.
enum { PIPE_BYTES = 1024 * 1024 };

// The pipe is empty but for the time of a call.
static struct {
  napi_env env;
  int from, to;
  // The system knows no such calls, or forbids them.
  bool is_refused;
} lender = {NULL, -1, -1, false};

static void unmap(napi_env env, void *bytes, void *length) {
  (void)env;
  // The pages of what is on its way stay until it has arrived.
  munmap(bytes, (size_t)length);
}

// pages(length): an ArrayBuffer of its own pages, a multiple of 2 MiB.
napi_value pages(napi_env env, napi_callback_info info) {
  napi_value arg, buffer;
  size_t count = 1;
  int64_t wanted;
  if (napi_get_cb_info(env, info, &count, &arg, NULL, NULL) != napi_ok || count < 1 ||
      napi_get_value_int64(env, arg, &wanted) != napi_ok || wanted <= 0 || wanted > ALL_BYTES_MAX ||
      wanted % HUGE_BYTES != 0)
    return number(env, -EINVAL);
  if (lender.is_refused) return number(env, -ENOTSUP);
  size_t length = (size_t)wanted;
  char *start = mmap(NULL, length + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return number(env, -errno);
  size_t before = (HUGE_BYTES - (uintptr_t)start % HUGE_BYTES) % HUGE_BYTES;
  if (before > 0) munmap(start, before);
  start += before;
  munmap(start + length, HUGE_BYTES - before);
  // Where it has none, small pages do as well.
  madvise(start, length, MADV_HUGEPAGE);
  if (napi_create_external_arraybuffer(env, start, length, unmap, (void *)length, &buffer) == napi_ok) return buffer;
  munmap(start, length);
  return number(env, -ENOTSUP);
}

static void note_refusal(void) {
  if (errno == ENOSYS || errno == EPERM) lender.is_refused = true;
}

static bool open_pipe(void) {
  int ends[2];
  if (lender.from != -1) return true;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return false;
  lender.from = ends[0];
  lender.to = ends[1];
  fcntl(lender.to, F_SETPIPE_SZ, PIPE_BYTES);
  return true;
}

static void close_pipe(void) {
  close(lender.from);
  close(lender.to);
  lender.from = lender.to = -1;
}

// How much of what is in the pipe the socket has taken.
static size_t splice_to(int socket, size_t length, unsigned more) {
  size_t at = 0;
  while (at < length) {
    ssize_t sent = splice(lender.from, NULL, socket, NULL, length - at, SPLICE_F_NONBLOCK | more);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) note_refusal();
    if (sent <= 0) break;
    at += (size_t)sent;
  }
  return at;
}

// lend(socket, text, bytes): how many bytes of both the socket has taken; the text may be empty, the bytes are of pages().
napi_value lend(napi_env env, napi_callback_info info) {
  napi_value args[3];
  size_t count = 3, used = 0, length;
  int32_t socket;
  char text[TEXT_MAX], *bytes;
  struct iovec head;
  if (lender.env == NULL) lender.env = env;
  if (lender.env != env || napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count < 3 ||
      napi_get_value_int32(env, args[0], &socket) != napi_ok ||
      !take_text_or_bytes(env, args[1], &head, text, &used) || !take_bytes(env, args[2], (void **)&bytes, &length))
    return number(env, 0);
  if (lender.is_refused || !open_pipe()) return number(env, 0);
  size_t at = 0;
  ssize_t ahead = 0;
  while (at < length) {
    struct iovec piece = {bytes + at, length - at};
    ssize_t lent = vmsplice(lender.to, &piece, 1, SPLICE_F_NONBLOCK);
    if (lent < 0) note_refusal();
    if (lent <= 0) break;
    // Not before it is known that something follows.
    if (at == 0) ahead = send_head(socket, head);
    unsigned more = (size_t)lent < piece.iov_len ? SPLICE_F_MORE : 0;
    size_t sent = ahead == (ssize_t)head.iov_len ? splice_to(socket, (size_t)lent, more) : 0;
    at += sent;
    if (sent == (size_t)lent) continue;
    // What is left in it is not to come before what is lent next.
    close_pipe();
    break;
  }
  return number(env, ahead < 0 ? 0 : ahead + (int64_t)at);
}
