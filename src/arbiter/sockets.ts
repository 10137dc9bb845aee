// The public sockets: bound by the arbiter, kept by it, accepted on by the edges alone.
//
// A net.Server would accept connections itself, so the handle beneath it is used: bound, never
// listened on here. net._createServerHandle is what node:cluster uses for the same; it is not
// documented, and stands in this file only. Tried on Node 20, 22, 24 and 26.

import { lookup } from 'node:dns/promises';
import { fstatSync, lstatSync, readFileSync, type Stats, unlinkSync } from 'node:fs';
import net, { connect, isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { showBind } from '../config/address.ts';
import type { BindAddress } from '../config/config.ts';
import type { PublicSocket } from './decide/state.ts';

/** libuv's handle of a bound socket, as far as it is used here. */
interface RawHandle {
  close(): void;
  getsockname?(out: { address?: string; port?: number }): number;
  /** Only TCP handles have it. */
  getpeername?(out: object): number;
  listen(backlog: number): number;
}

type CreateServerHandle = (
  address: string | null,
  port: number,
  addressType: number,
  fd: number | undefined,
  flags: number,
) => RawHandle | number;

/** UV_TCP_IPV6ONLY: leaves the IPv4 side of the port to a socket of its own. */
const ipv6OnlyFlag = 1;
/** sun_path holds 108 bytes with its NUL on Linux, 104 on macOS. */
export const unixPathBytesMax = process.platform === 'linux' ? 107 : 103;

type TcpAddress = Extract<BindAddress, { kind: 'tcp' }>;
type UnixAddress = Extract<BindAddress, { kind: 'unix' }>;

export interface BoundSocket extends PublicSocket {
  readonly handle: RawHandle;
  /** Closes the socket and removes a Unix socket's file. May be called twice. */
  close(): void;
}

export type Bound =
  | { readonly ok: true; readonly socket: BoundSocket }
  | { readonly ok: false; readonly problem: string };

export interface BindOptions {
  /** Mode bits a Unix socket's file does not get. */
  readonly umask: number;
  /** Also bound or to be bound, so that [::] and 0.0.0.0 on one port get along. */
  readonly others: readonly BindAddress[];
}

/** Binds a socket; the problem, if there is one, is for a person to read. */
export async function bindSocket(
  key: string,
  address: BindAddress,
  options: BindOptions,
): Promise<Bound> {
  try {
    return { ok: true, socket: await bindAddress(key, address, options) };
  } catch (cause) {
    const name = address.kind === 'unix' ? address.path : showBind({ ...address, tls: false });
    return { ok: false, problem: `Cannot listen at ${name}: ${explain(cause)}` };
  }
}

function bindAddress(
  key: string,
  address: BindAddress,
  options: BindOptions,
): BoundSocket | Promise<BoundSocket> {
  if (address.kind === 'fd') throw new Error('no such descriptor was passed on');
  if (address.fd !== undefined) return takeInherited(key, address, address.fd);
  if (address.kind === 'unix') return bindUnix(key, address.path, options.umask);
  return bindTcp(key, address, options.others);
}

/** Sockets that who started us had bound, by descriptor, until they are closed: after that the number
 *  may be anything's. */
const inherited = new Map<number, RawHandle>();

/** Opens a socket that was passed on, and says where it listens; throws where it is no listening one. */
export function openInherited(fd: number): TcpAddress | UnixAddress {
  const socketInode = inodeOfSocket(fd);
  let handle: RawHandle;
  try {
    handle = createHandle(null, 0, -1, 0, fd);
  } catch {
    throw new Error('it is no stream socket');
  }
  inherited.set(fd, handle);
  // A Unix socket has no name that libuv would tell.
  if (handle.getpeername === undefined)
    return { kind: 'unix', path: unixPathOf(socketInode), tls: false, fd };
  const real: { address?: string; port?: number } = {};
  check(handle.getsockname?.(real) ?? 0);
  if (handle.getpeername({}) === 0) throw new Error('it is a connection (systemd: set Accept=no)');
  return { kind: 'tcp', host: real.address ?? '', port: real.port ?? 0, tls: false, fd };
}

function takeInherited(key: string, address: TcpAddress | UnixAddress, fd: number): BoundSocket {
  const handle = inherited.get(fd);
  if (handle === undefined)
    throw new Error('its descriptor has been closed; a restart opens it again');
  const closeHandle = closeOnce(handle);
  // The file of a Unix socket is who bound it's.
  const close = (): void => {
    inherited.delete(fd);
    closeHandle();
  };
  const url =
    address.kind === 'unix'
      ? `unix:${address.path}`
      : `${address.tls ? 'https' : 'http'}://${tcpName(address.host, address.port)}`;
  return { key, address, url, handle, close };
}

function inodeOfSocket(fd: number): number {
  let stat: Stats;
  try {
    stat = fstatSync(fd);
  } catch {
    throw new Error('it is not open');
  }
  if (!stat.isSocket()) throw new Error('it is no socket');
  return stat.ino;
}

/** "" where the system does not say: the name is only shown. */
function unixPathOf(inode: number): string {
  try {
    const line = readFileSync('/proc/self/net/unix', 'latin1')
      .split('\n')
      .find((text) => text.split(/ +/)[6] === String(inode));
    return line?.split(/ +/).slice(7).join(' ') ?? '';
  } catch {
    return '';
  }
}

async function bindTcp(
  key: string,
  address: TcpAddress,
  others: readonly BindAddress[],
): Promise<BoundSocket> {
  const { host, port, tls } = address;
  const resolved = await resolveHost(host);
  const isV6 = resolved !== null && isIP(resolved) === 6;
  const v4Twin = others.some(
    (other) => other.kind === 'tcp' && other.port === port && isIP(other.host) === 4,
  );
  const flags = isV6 && port !== 0 && v4Twin ? ipv6OnlyFlag : 0;
  const handle = createHandle(resolved, port, isV6 ? 6 : 4, flags);
  try {
    // libuv reports a failed bind() only now, or when it listens, which is not done here.
    const real: { address?: string; port?: number } = {};
    check(handle.getsockname?.(real) ?? 0);
    const bound = {
      kind: 'tcp',
      host: real.address ?? host,
      port: real.port ?? port,
      tls,
    } as const;
    // Two sockets that do not listen yet may share a port: whether another program does is known
    // by listening on one that is closed in the same turn, before a connection can be taken.
    if (port !== 0) probe(resolved, bound.port, isV6 ? 6 : 4, flags);
    const url = `${tls ? 'https' : 'http'}://${tcpName(bound.host, bound.port)}`;
    return { key, address: bound, url, handle, close: closeOnce(handle) };
  } catch (cause) {
    handle.close();
    throw cause;
  }
}

function probe(host: string | null, port: number, family: 4 | 6, flags: number): void {
  const handle = createHandle(host, port, family, flags);
  const status = handle.listen(1);
  handle.close();
  check(status);
}

async function bindUnix(key: string, path: string, umask: number): Promise<BoundSocket> {
  if (Buffer.byteLength(path) > unixPathBytesMax) {
    throw new Error(`the path is longer than the ${unixPathBytesMax} bytes a socket's may have`);
  }
  await removeStaleSocket(path);
  // bind(2) makes the file with 0777 less the umask: no moment in which it is open to others.
  const before = process.umask(umask);
  try {
    const handle = createHandle(path, -1, -1, 0);
    const closeHandle = closeOnce(handle);
    return {
      key,
      address: { kind: 'unix', path, tls: false },
      url: `unix:${path}`,
      handle,
      close() {
        closeHandle();
        // libuv removes the file of a socket it has bound; not all versions do.
        removeSocketFile(path);
      },
    };
  } finally {
    process.umask(before);
  }
}

/** Removes the file of a socket that nobody listens on; throws when somebody does. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Error('a file that is no socket is in the way');
  if (await answers(path)) throw errnoError('EADDRINUSE');
  unlinkSync(path);
}

/** Whether a process accepts connections at the Unix socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    // A full backlog (EAGAIN), or no permission to ask, is somebody too.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

export function removeSocketFile(path: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
  } catch {
    // Its directory is gone or closed to us: nothing that can be done, or needs to be.
  }
}

/** null = all addresses, of IPv6 and IPv4 where the machine has both. */
async function resolveHost(host: string): Promise<string | null> {
  if (host === '' || host === '*') return null;
  if (isIP(host) !== 0) return host;
  // IPv4 first, as Gunicorn binds names: what a name is bound to must not depend on the resolver's order.
  const found = await lookup(host, { all: true });
  const first = found.find(({ family }) => family === 4) ?? found[0];
  if (first === undefined) throw new Error('the name has no address');
  return first.address;
}

function createHandle(
  host: string | null,
  port: number,
  addressType: number,
  flags: number,
  fd?: number,
): RawHandle {
  const create = (net as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (typeof create !== 'function') {
    throw new Error(
      `Node ${process.version} offers no way to bind a socket without accepting on it`,
    );
  }
  const handle = create(host, port, addressType, fd, flags);
  if (typeof handle === 'number') check(handle);
  return handle as RawHandle;
}

/** libuv's negative error number as an error. */
function check(status: number): void {
  if (status < 0) throw errnoError(getSystemErrorName(status));
}

function errnoError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

function closeOnce(handle: RawHandle): () => void {
  let isOpen = true;
  return () => {
    if (isOpen) handle.close();
    isOpen = false;
  };
}

function tcpName(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use by another program',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EACCES: 'permission denied (ports below 1024 and some directories need more rights)',
  EPERM: 'permission denied',
  ENOENT: 'the directory does not exist',
  ENOTFOUND: 'the name cannot be resolved',
  EAI_AGAIN: 'the name cannot be resolved now',
  EAFNOSUPPORT: 'this machine does not speak that address family',
};

function explain(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : reasons[code];
  return reason === undefined ? cause.message : `${reason} (${code})`;
}
