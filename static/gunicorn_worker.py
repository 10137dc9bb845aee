# Gunicorn's sync worker, but it keeps the connections of its one client, Portico's edge. Run as a module by the
# settings that Portico gives to Gunicorn. Tried with Gunicorn 20.1 to 26.1; others keep their own class.
import errno
import inspect
import os
import select
import socket
import time
from datetime import datetime

# At a time, idle ones included: each edge has one, and one more for an upgrade or a look.
CONNECTIONS_MAX = 256
# So often at least it tells its parent that it is well, and looks whether that lives.
WAIT_SECONDS = 1.0
# A word to its parent is a system call, and its time-out is counted in seconds.
NOTIFY_SECONDS = 0.1
# For content that the app left unread: the edge has sent all of it, or is about to close.
DISCARD_SECONDS = 1.0


class Connection(socket.socket):
    """Gunicorn closes what it has answered; one that is kept does not hear of it."""

    is_kept = False
    # Read with the former request, and not its own.
    ahead = b""

    def recv(self, size, flags=0):
        if self.ahead:
            data, self.ahead = self.ahead[:size], self.ahead[size:]
            return data
        return super().recv(size, flags)

    def shutdown(self, how):
        if self.is_kept:
            # From version 26 Gunicorn reads on until the client has closed, unless this fails.
            raise OSError(errno.ENOTCONN, "kept")
        super().shutdown(how)

    def close(self):
        if not self.is_kept:
            super().close()


class Answer:
    """The socket of one response: its head goes out with what comes next, so that the edge wakes once."""

    def __init__(self, connection, response):
        self.connection = connection
        self.response = response
        self.head = None
        self.bytes_of_file = 0

    def sendall(self, data):
        if self.head is None:
            self.head = data
        elif self.may_have_content():
            if self.head:
                data, self.head = self.head + data, b""
            self.connection.sendall(data)

    def sendfile(self, file, offset=0, count=None):
        self.flush()
        if self.may_have_content():
            self.bytes_of_file += self.connection.sendfile(file, offset, count)

    def flush(self):
        if self.head:
            head, self.head = self.head, b""
            self.connection.sendall(head)

    def may_have_content(self):
        # Before version 26 Gunicorn writes it even so: to the edge it would be the next response.
        response = self.response
        return response.req.method != "HEAD" and response.status_code not in (204, 304)

    def is_whole(self):
        response = self.response
        announced = response.response_length
        if announced is None or not self.may_have_content():
            return True
        return response.sent + self.bytes_of_file == announced


class Settled:
    """Gunicorn's Config, whose values are looked up by three calls each, some 25 times a request."""

    def __init__(self, cfg):
        own = {name: setting.get() for name, setting in cfg.settings.items()}
        # What Config makes something else of stays its own.
        self.__dict__.update((name, own[name]) for name in own if not hasattr(type(cfg), name))
        self.__dict__["_cfg"] = cfg

    def __getattr__(self, name):
        return getattr(self._cfg, name)

    def __setattr__(self, name, value):
        setattr(self._cfg, name, value)


def is_read_whole(req, environ, connection):
    """Reads what the app left. The edge has the answer by now, so the next request may be behind it."""
    if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
        until = time.monotonic() + DISCARD_SECONDS
        connection.settimeout(DISCARD_SECONDS)
        try:
            while req.body.read(65536):
                if time.monotonic() > until:
                    return False
        except OSError:
            return False
        finally:
            connection.settimeout(None)
    connection.ahead = req.unreader.buf.getvalue() + connection.ahead
    return True


def keeping(SyncWorker, wsgi):
    class KeepingSyncWorker(SyncWorker):
        notified = 0.0

        def notify(self):
            now = time.monotonic()
            if now - self.notified >= NOTIFY_SECONDS:
                self.notified = now
                super().notify()

        def run(self):
            if self.cfg.is_ssl:
                super().run()
                return
            self.cfg = Settled(self.cfg)
            self.poller = select.poll()
            self.listeners = {listener.fileno(): listener for listener in self.sockets}
            self.names = {fd: each.getsockname() for fd, each in self.listeners.items()}
            # By descriptor; who was served last stands last.
            self.connections = {}
            for fd, listener in self.listeners.items():
                listener.setblocking(False)
                self.poller.register(fd, select.POLLIN)
            self.poller.register(self.PIPE[0], select.POLLIN)
            wait_ms = 1000 * min(self.timeout or WAIT_SECONDS, WAIT_SECONDS)
            while self.alive and self.is_parent_alive():
                self.notify()
                self.turn(dict(self.poller.poll(wait_ms)))
            # A request that is here already is answered, and hears "Connection: close".
            for fd, what in self.poller.poll(0):
                if fd in self.connections:
                    self.serve(fd, what)
            for _, connection, _ in self.connections.values():
                connection.is_kept = False
                connection.close()

        def turn(self, ready):
            if self.PIPE[0] in ready:
                os.read(self.PIPE[0], 4096)
            for fd in ready:
                if fd in self.listeners and len(self.connections) < CONNECTIONS_MAX:
                    self.greet(self.listeners[fd])
            # One only: who else was ready may have left when this one is answered.
            for fd in self.connections:
                if fd in ready:
                    if self.alive:
                        self.serve(fd, ready[fd])
                    return

        def greet(self, listener):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            connection = Connection(fileno=accepted.detach())
            connection.setblocking(True)
            fd = connection.fileno()
            self.connections[fd] = (listener, connection, address)
            self.poller.register(fd, select.POLLIN)

        def serve(self, fd, what):
            entry = self.connections.pop(fd)
            connection = entry[1]
            if what & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                # Nobody waits for an answer.
                connection.is_kept = False
                connection.close()
            else:
                self.answer(*entry)
            if connection.is_kept:
                self.connections[fd] = entry
            else:
                self.poller.unregister(fd)

        def answer(self, listener, connection, address):
            while True:
                connection.is_kept = False
                self.handle(listener, connection, address)
                if not (connection.is_kept and connection.ahead):
                    return
                self.notify()

        def handle_request(self, listener, req, client, addr):
            if not isinstance(client, Connection):
                super().handle_request(listener, req, client, addr)
                return
            environ = {}
            resp = None
            try:
                self.cfg.pre_request(self, req)
                began = datetime.now()
                name = self.names[listener.fileno()]
                resp, environ = wsgi.create(req, client, addr, name, self.cfg)
                resp.sock = answer = Answer(client, resp)
                self.nr += 1
                if self.nr >= self.max_requests:
                    self.log.info("Autorestarting worker after current request.")
                    self.alive = False
                if not self.alive or "HTTP_UPGRADE" in environ:
                    resp.force_close()
                self.respond(resp, environ, answer)
                self.log.access(resp, req, environ, datetime.now() - began)
                client.is_kept = (
                    self.alive
                    and not resp.should_close()
                    and answer.is_whole()
                    and is_read_whole(req, environ, client)
                )
            except OSError:
                raise
            except Exception:
                if resp is None or not resp.headers_sent:
                    raise
                # The edge is to see a response that breaks off.
                self.log.exception("Error handling request")
                try:
                    answer.flush()
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                raise StopIteration()
            finally:
                try:
                    self.cfg.post_request(self, req, environ, resp)
                except Exception:
                    self.log.exception("Exception in post_request hook")

        def respond(self, resp, environ, answer):
            pieces = self.wsgi(environ, resp.start_response)
            try:
                if isinstance(pieces, environ["wsgi.file_wrapper"]):
                    resp.write_file(pieces)
                else:
                    for piece in pieces:
                        resp.write(piece)
                        answer.flush()
                resp.close()
                answer.flush()
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()

    return KeepingSyncWorker


def parameters(function):
    return list(inspect.signature(function).parameters)


def worker_class_name():
    """What worker_class is to be: the class above, if Gunicorn's parts are what it was made for."""
    try:
        import gunicorn
        from gunicorn.http import wsgi
        from gunicorn.workers.sync import SyncWorker

        is_known = (
            20 <= gunicorn.version_info[0] <= 26
            and hasattr(select, "poll")
            and parameters(SyncWorker.handle) == ["self", "listener", "client", "addr"]
            and parameters(SyncWorker.handle_request)
            == ["self", "listener", "req", "client", "addr"]
            and parameters(wsgi.create)[:5] == ["req", "sock", "client", "server", "cfg"]
        )
    except Exception:
        is_known = False
    if not is_known:
        return "sync"
    globals()["SyncWorker"] = keeping(SyncWorker, wsgi)
    # Gunicorn wants a name that can be imported.
    return __name__ + ".SyncWorker"
