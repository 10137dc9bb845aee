// What Node's own http server makes of raw bytes: each input on a connection of its own.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface NodeMessage {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly fields: readonly string[];
  content: string;
  /** Null: the message did not come to its end. */
  trailers: readonly string[] | null;
}

export interface NodeParsed {
  readonly messages: readonly NodeMessage[];
  /** Code of the parser's error, or the status of a refusal; null: nothing was refused. */
  readonly refusal: string | null;
}

interface Record {
  messages: NodeMessage[];
  error: string | null;
}

export class NodeHttp {
  private readonly server: Server;
  private readonly records = new Map<Socket, Record>();
  /** By the client's port: whose record it is. */
  private readonly byPort = new Map<number, Record>();

  constructor() {
    this.server = createServer({ keepAlive: false }, (request, response) =>
      this.onRequest(request, response),
    );
    // A client that has sent all is no client that left.
    Object.assign(this.server, { httpAllowHalfOpen: true });
    this.server.on('connection', (socket: Socket) => {
      const record: Record = { messages: [], error: null };
      this.records.set(socket, record);
      this.byPort.set(socket.remotePort!, record);
    });
    this.server.on('checkContinue', (request, response) => this.onRequest(request, response));
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const record = this.records.get(socket as Socket);
      if (record !== undefined) record.error ??= error.code ?? error.message;
      socket.destroy();
    });
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  async parse(input: string): Promise<NodeParsed> {
    const socket = connect((this.server.address() as AddressInfo).port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      answer += text;
    });
    socket.on('error', () => {});
    await once(socket, 'connect');
    const port = socket.localPort!;
    socket.end(Buffer.from(input, 'latin1'));
    await once(socket, 'close');
    const record = this.byPort.get(port) ?? { messages: [], error: 'no connection' };
    this.byPort.delete(port);
    const refused = /HTTP\/1\.1 ([45][0-9]{2})/.exec(answer);
    return { messages: record.messages, refusal: record.error ?? refused?.[1] ?? null };
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const message: NodeMessage = {
      method: request.method!,
      target: request.url!,
      version: request.httpVersion,
      fields: request.rawHeaders,
      content: '',
      trailers: null,
    };
    this.records.get(request.socket)?.messages.push(message);
    request.setEncoding('latin1');
    request.on('data', (text: string) => {
      message.content += text;
    });
    request.on('error', () => {});
    request.on('end', () => {
      message.trailers = request.rawTrailers;
      response.end();
    });
  }
}
