// Writes to a socket past Node's streams. Nothing here keeps anything, waits, or looks at what the bytes mean.

#include "native.h"
#include <errno.h>
#include <sys/socket.h>

enum { PIECES_MAX = 16 };

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

// What it is the head of follows in the same packet.
ssize_t send_head(int socket, struct iovec head) {
  if (head.iov_len == 0) return 0;
  return send(socket, head.iov_base, head.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
}
