// Tells which sockets can be read, and sends files on as sockets take them: a set of epoll(7) of our own, which libuv's
// loop polls as one descriptor. So JavaScript is entered once for all sockets that a turn of the loop found ready, and
// for a file that is sent not before its end.
//
// Sockets are named by small numbers that src/native/poller.ts gives out. Events come once for each change (EPOLLET):
// whoever is told reads until less comes than was asked for.

#include "native.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

// What is used of libuv 1, whose binary interface does not change: its headers need not be there. Node exports them.
typedef void (*uv_poll_callback)(void *poll, int status, int events);
int uv_poll_init(void *loop, void *poll, int descriptor);
int uv_poll_start(void *poll, int events, uv_poll_callback callback);
size_t uv_handle_size(int type);
uint64_t uv_now(const void *loop);
void uv_ref(void *handle);
void uv_unref(void *handle);
enum { POLL_HANDLE = 8, POLL_READABLE = 1 };

// At a time; what is left comes in the next round, and after so many rounds in the loop's next turn.
enum { EVENTS_MAX = 256, ROUNDS_MAX = 8 };
// What one client is sent in a turn before others have theirs: as much as a socket holds by Linux's own settings. With half of that,
// one that holds more takes two turns, 5 % of the time for 10 MB.
enum { TURN_BYTES = 4 * 1024 * 1024 };
// A file is looked at so often whether it is in memory: what the kernel reads ahead of itself is larger.
enum { STRIDE = 256 * 1024 };
// So far it is looked ahead whether a file is in memory: about what a socket takes at a time.
enum { LOOK_BYTES = 1024 * 1024 };
// More than a process may have open.
enum { NAMES_MAX = 1 << 24 };

// What JavaScript is told of a socket.
enum { CAN_BE_READ = 1, READ_TO_THE_END = 2, FILE_IS_OVER = 4, IS_GONE = 8 };

static const uint32_t interest = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

// A socket that is looked after, and what it is sent of which file: none where `file` is -1.
struct watched {
  int socket, file;
  bool is_unix;
  off_t start, at, end;
  // Until then, of the loop's time in ms, the file is believed to be in memory.
  uint64_t believed_until;
};

static struct {
  napi_env env;
  napi_ref on_ready;
  napi_async_context context;
  void *loop, *poll;
  int set;
  // Pairs: which socket, and what of it.
  int32_t *told;
  void *bytes;
  size_t bytes_max;
  struct watched *watched;
  int32_t names, in_use;
} poller;

static struct watched *find(int32_t name) {
  if (name < 0 || name >= poller.names) return NULL;
  struct watched *watched = &poller.watched[name];
  return watched->socket == -1 ? NULL : watched;
}

static int control(int operation, int32_t name, int socket, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = (uint64_t)name};
  return epoll_ctl(poller.set, operation, socket, &event) < 0 ? -errno : 0;
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

// Sends what the socket takes now. True: that was all, or others have to see why it goes no further (not in memory, shorter by
// now).
static bool send_on(struct watched *watched, int32_t name) {
  bool is_believed = uv_now(poller.loop) < watched->believed_until;
  for (off_t left = TURN_BYTES; left > 0;) {
    if (watched->at >= watched->end) return true;
    off_t length = watched->end - watched->at < left ? watched->end - watched->at : left;
    if (!is_believed) {
      if (length > LOOK_BYTES) length = LOOK_BYTES;
      length = cached_until(watched->file, watched->at, watched->at + length) - watched->at;
      if (length == 0) return true;
    }
    ssize_t sent = sendfile(watched->socket, watched->file, &watched->at, (size_t)length);
    if (sent < 0 && errno == EINTR) continue;
    if (sent == 0 || (sent < 0 && errno != EAGAIN)) return true;
    // It is full, and tells when it is not any more.
    if (sent < length && watched->at < watched->end) return false;
    left -= sent;
  }
  if (watched->at >= watched->end) return true;
  // It takes more already, which makes an event of the next turn.
  return control(EPOLL_CTL_MOD, name, watched->socket, interest | EPOLLOUT) != 0;
}

static int32_t tell_of(const struct epoll_event *event) {
  int32_t name = (int32_t)event->data.u64;
  struct watched *watched = find(name);
  if (watched == NULL) return 0;
  int32_t what = 0;
  // A read stops short of an end, of urgent data, and on a Unix socket behind descriptors that came along.
  const uint32_t stop = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
  if (event->events & (EPOLLIN | stop)) what |= CAN_BE_READ;
  if (event->events & stop || (what != 0 && watched->is_unix)) what |= READ_TO_THE_END;
  if (watched->file == -1) return what;
  // Told once: whoever asks the socket first takes its error away from all others.
  if (event->events & (EPOLLHUP | EPOLLERR)) what |= IS_GONE;
  else if (event->events & EPOLLOUT && send_on(watched, name)) what |= FILE_IS_OVER;
  return what;
}

// All that can be done without JavaScript is done before it is entered: then it may close what it likes.
static int32_t gather(const struct epoll_event *events, int count) {
  int32_t told = 0;
  for (int index = 0; index < count; index++) {
    int32_t what = tell_of(&events[index]);
    if (what == 0) continue;
    poller.told[2 * told] = (int32_t)events[index].data.u64;
    poller.told[2 * told + 1] = what;
    told++;
  }
  return told;
}

static void tell(int32_t count) {
  napi_env env = poller.env;
  napi_handle_scope scope;
  napi_value on_ready, global, arg, error;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, poller.on_ready, &on_ready) == napi_ok &&
      napi_get_global(env, &global) == napi_ok && napi_create_int32(env, count, &arg) == napi_ok &&
      napi_make_callback(env, poller.context, global, on_ready, 1, &arg, NULL) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok)
    napi_fatal_exception(env, error);
  napi_close_handle_scope(env, scope);
}

static void on_poll(void *poll, int status, int happened) {
  (void)poll, (void)status, (void)happened;
  struct epoll_event events[EVENTS_MAX];
  for (int round = 0; round < ROUNDS_MAX; round++) {
    int count = epoll_wait(poller.set, events, EVENTS_MAX, 0);
    int32_t told = count > 0 ? gather(events, count) : 0;
    if (told > 0) tell(told);
    if (count < EVENTS_MAX) break;
  }
}

// pollStart(onReady, told, bytes): from now on onReady(count) is called when sockets are ready, with so many pairs in `told`, an
// Int32Array of 512: which socket, and what of it (1: it can be read, 2: until there is nothing more, 4: of the file that it is
// sent no more is sent, 8: the client is gone in the midst of it). `bytes` is where pollRead() reads into. 0: done.
napi_value poll_start(napi_env env, napi_callback_info info) {
  napi_value args[3], name;
  size_t count = 3, length;
  napi_typedarray_type type;
  struct uv_loop_s *loop;
  if (poller.env != NULL) return number(env, -EBUSY);
  if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count < 3 ||
      napi_get_typedarray_info(env, args[1], &type, &length, (void **)&poller.told, NULL, NULL) != napi_ok ||
      type != napi_int32_array || length < 2 * EVENTS_MAX ||
      !take_bytes(env, args[2], &poller.bytes, &poller.bytes_max) || poller.bytes_max == 0)
    return number(env, -EINVAL);
  // The arrays are the function's too: as long as it lives they do.
  if (napi_create_reference(env, args[0], 1, &poller.on_ready) != napi_ok ||
      napi_create_string_latin1(env, "portico:poller", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &poller.context) != napi_ok || napi_get_uv_event_loop(env, &loop) != napi_ok)
    return number(env, -EINVAL);
  poller.set = epoll_create1(EPOLL_CLOEXEC);
  if (poller.set == -1) return number(env, -errno);
  poller.poll = calloc(1, uv_handle_size(POLL_HANDLE));
  int error = poller.poll == NULL ? -ENOMEM : uv_poll_init(loop, poller.poll, poller.set);
  if (error == 0) error = uv_poll_start(poller.poll, POLL_READABLE, on_poll);
  if (error != 0) {
    close(poller.set);
    return number(env, error);
  }
  // The loop goes on for sockets that are looked after, not for the set.
  uv_unref(poller.poll);
  poller.loop = loop;
  poller.env = env;
  return number(env, 0);
}

// The socket of a call that has no other argument.
static struct watched *take_watched(napi_env env, napi_callback_info info, int32_t *name) {
  napi_value arg;
  size_t count = 1;
  if (poller.env != env || napi_get_cb_info(env, info, &count, &arg, NULL, NULL) != napi_ok || count < 1 ||
      napi_get_value_int32(env, arg, name) != napi_ok)
    return NULL;
  return find(*name);
}

// The socket of a call, and whether its descriptor is still its own.
static struct watched *take_watched_open(napi_env env, napi_callback_info info, int32_t *name, bool *is_open) {
  napi_value args[2];
  size_t count = 2;
  if (poller.env != env || napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count < 2 ||
      napi_get_value_int32(env, args[0], name) != napi_ok || napi_get_value_bool(env, args[1], is_open) != napi_ok)
    return NULL;
  return find(*name);
}

static bool make_room(int32_t wanted) {
  if (wanted <= poller.names) return true;
  size_t names = (size_t)wanted * 2;
  struct watched *watched = realloc(poller.watched, names * sizeof *watched);
  if (watched == NULL) return false;
  poller.watched = watched;
  for (; (size_t)poller.names < names; poller.names++) watched[poller.names].socket = -1;
  return true;
}

// pollAdd(name, socket): looks after it. 0: done.
napi_value poll_add(napi_env env, napi_callback_info info) {
  napi_value args[2];
  size_t count = 2;
  int32_t name, socket;
  if (poller.env != env || napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok || count < 2 ||
      napi_get_value_int32(env, args[0], &name) != napi_ok || napi_get_value_int32(env, args[1], &socket) != napi_ok ||
      name < 0 || name >= NAMES_MAX)
    return number(env, -EINVAL);
  if (!make_room(name + 1)) return number(env, -ENOMEM);
  if (find(name) != NULL) return number(env, -EEXIST);
  int error = control(EPOLL_CTL_ADD, name, socket, interest);
  if (error != 0) return number(env, error);
  int domain = 0;
  getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
  poller.watched[name] = (struct watched){.socket = socket, .file = -1, .is_unix = domain == AF_UNIX};
  if (poller.in_use++ == 0) uv_ref(poller.poll);
  return number(env, 0);
}

// pollRemove(name, isOpen): looks after it no more. Of one that is closed the kernel knows, and its descriptor may be another's.
napi_value poll_remove(napi_env env, napi_callback_info info) {
  int32_t name;
  bool is_open;
  struct watched *watched = take_watched_open(env, info, &name, &is_open);
  if (watched == NULL) return number(env, -ENOENT);
  if (is_open) control(EPOLL_CTL_DEL, name, watched->socket, 0);
  watched->socket = -1;
  if (--poller.in_use == 0) uv_unref(poller.poll);
  return number(env, 0);
}

// pollRead(name): so many bytes are in `bytes` now. 0: the end.
napi_value poll_read(napi_env env, napi_callback_info info) {
  int32_t name;
  struct watched *watched = take_watched(env, info, &name);
  if (watched == NULL) return number(env, -ENOENT);
  ssize_t got;
  do got = recv(watched->socket, poller.bytes, poller.bytes_max, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return number(env, got < 0 ? -errno : got);
}

// What pollSendFile() is called with: a socket by its name, the text that goes first, a part of a file.
struct file_call {
  int32_t name, file;
  struct iovec head;
  int64_t start, length, believed_ms;
};

static bool take_file_call(napi_env env, napi_callback_info info, struct file_call *call, char *text) {
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

// pollSendFile(name, text, file, offset, length, believedMs): the socket is sent the text, which may be empty, and so much of the
// file as it takes it. Gives how many bytes it has taken at once: fewer than the text, and nothing more follows; or more, and what
// is left of the file follows, the end of which is told as 4. The text is not sent before the file is at hand.
napi_value poll_send_file(napi_env env, napi_callback_info info) {
  struct file_call call;
  char text[TEXT_MAX];
  if (poller.env != env || !take_file_call(env, info, &call, text)) return number(env, -EINVAL);
  int32_t name = call.name;
  struct watched *watched = find(name);
  if (watched == NULL || call.length == 0) return number(env, -ENOENT);
  if (call.believed_ms == 0 && cached_until(call.file, call.start, call.start + 1) == call.start)
    return number(env, -EAGAIN);
  ssize_t head = send_head(watched->socket, call.head);
  if (head < (ssize_t)call.head.iov_len) return number(env, head < 0 ? 0 : head);
  watched->file = call.file;
  watched->at = call.start;
  watched->end = call.start + call.length;
  watched->believed_until = uv_now(poller.loop) + (uint64_t)call.believed_ms;
  send_on(watched, name);
  watched->start = watched->at;
  // Asked for anew: also of what goes no further for another reason, which is told with the event.
  if (watched->at == watched->end || control(EPOLL_CTL_MOD, name, watched->socket, interest | EPOLLOUT) != 0)
    watched->file = -1;
  return number(env, (int64_t)call.head.iov_len + (watched->at - call.start));
}

// pollSent(name, isOpen): how many bytes of the file were sent since. Of an open socket that is asked now and then: should nobody have
// told of room, it is asked for. The descriptor of one that is closed may be another's.
napi_value poll_sent(napi_env env, napi_callback_info info) {
  int32_t name;
  bool is_open;
  struct watched *watched = take_watched_open(env, info, &name, &is_open);
  if (watched == NULL || watched->file == -1) return number(env, 0);
  if (is_open) control(EPOLL_CTL_MOD, name, watched->socket, interest | EPOLLOUT);
  return number(env, watched->at - watched->start);
}

// pollStopSending(name): no more of the file is sent; gives how many bytes of it were.
napi_value poll_stop_sending(napi_env env, napi_callback_info info) {
  int32_t name;
  struct watched *watched = take_watched(env, info, &name);
  if (watched == NULL || watched->file == -1) return number(env, 0);
  watched->file = -1;
  return number(env, watched->at - watched->start);
}
