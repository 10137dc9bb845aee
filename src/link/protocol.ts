// The link's wire in one screen: preface, frame types, flags and every limit. Prose: docs/link-protocol.md.

/** Edge and worker must speak the same version: they are one release, and a mismatch (half an
 *  upgrade) is said aloud. Raise it with every change of the wire. */
export const LINK_VERSION = 1;

/** Starts the preface both ways. The first byte can't start an HTTP request, so a worker's socket
 *  can serve both: one byte tells which. */
export const MAGIC = '\x89PORTICO';
export const MAGIC_BYTE = 0x89;
/** magic[8] version u16, reserved u16 (0), window u32, streams u32. All numbers little-endian. */
export const PREFACE_BYTES = 20;
/** A worker that is busy with one long request answers late; one that never does is dead. */
export const PREFACE_TIMEOUT_MS = 10_000;

/** length u24 (of the payload), type u4 + flags u4, stream u32. */
export const FRAME_HEADER_BYTES = 8;

// Frame types. edge → worker:
export const REQUEST = 1; // opens a stream
// worker → edge:
export const RESPONSE = 2; // once a stream
export const INFORM = 3; // any number before RESPONSE, INFORMS_MAX at most
export const DRAIN = 4; // stream 0: open no more streams, close the socket when none is left
// either way:
export const DATA = 5;
export const END = 6; // with trailers; without any, FLAG_END on the last frame does the same
export const RESET = 7; // code and detail; both directions of the stream are over for the sender
export const CREDIT = 8; // so many more bytes of DATA may be sent
export const PING = 9; // stream 0, eight bytes to be sent back
export const PONG = 10; // stream 0

/** On REQUEST, RESPONSE and DATA: the sender's direction of the stream ends with this frame. */
export const FLAG_END = 0x10;
/** On RESET from the worker: the app never saw the request, so it may go elsewhere. */
export const FLAG_REFUSED = 0x20;

/** Bytes of a request or response head, trailers included. Above what the edge's own limits let
 *  through by default (an 8 KB line and 100 fields of 8 KB), and one such head per link is all
 *  a decoder ever holds. */
export const HEAD_BYTES_MAX = 1024 * 1024;
export const CREDIT_BYTES = 4;
export const PING_BYTES = 8;

/** DATA a peer may send ahead on each stream. A response up to this size leaves the worker at once,
 *  however slow the client; 256 KB covers nearly all pages and costs 256 MB at 1,000 slow clients. */
export const WINDOW_BYTES = 256 * 1024;
export const WINDOW_BYTES_MIN = 1024;
export const WINDOW_BYTES_MAX = 1024 * 1024 * 1024;

/** Largest DATA payload. A frame is the unit of fairness between streams that wait for the socket.
 *  Measured with 1 MB responses: 64 KB frames take a sixth less CPU than 32 KB ones. */
export const DATA_BYTES_MAX = 64 * 1024;

/** Streams open at a time on one link; ids are 1 … this. Well above any worker-connections that
 *  one process can serve. */
export const STREAMS_MAX = 16_384;

/** 103 (Early Hints) and the like on one stream; more is a fault, and each costs the client a head. */
export const INFORMS_MAX = 64;

/** The batch goes to the kernel once per turn of the event loop, or at once when it has so many
 *  bytes: two frames of content, about what a Unix socket takes at a time. */
export const FLUSH_BYTES = 128 * 1024;

/** Content from this size on goes down as it is, in a gathering write (writev); below, it is copied
 *  into the batch, which costs less than one more piece to gather. */
export const COPY_BYTES_MAX = 16 * 1024;
