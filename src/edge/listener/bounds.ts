// How much a connection may read ahead, buffer, or throw away: the bounds that are no settings.

/** Content a handler may have without having dealt with it. Four of the largest reads:
 *  enough to keep a fast upload going while the handler is busy; a thousand of them take 256 MiB. */
export const UNCONSUMED_BYTES_MAX = 256 * 1024;
/** Reading goes on at half of that: not a stop and a start for each piece. */
export const UNCONSUMED_BYTES_RESUME = UNCONSUMED_BYTES_MAX / 2;
/** What waits for the client before write() says so: the size of one large read of a worker. */
export const RESPONSE_BUFFER_BYTES = 64 * 1024;
/** Content nobody wanted that is read to save the connection; a new one costs about as much. */
export const DISCARD_BYTES_MAX = 256 * 1024;
/** After the last answer: what is read and thrown away so that the client reads the answer and not
 *  a reset (nginx's lingering_close; RFC 9112 section 9.6). An upload of 64 MiB refused with 413
 *  still ends well; and for how long. */
export const LINGER_BYTES_MAX = 64 * 1024 * 1024;
export const LINGER_MS = 10_000;

/** Content a client may send ahead on each HTTP/2 stream (its flow-control window): enough for
 *  10 MB/s over 12 ms; 128 streams of it are 16 MiB. */
export const HTTP2_WINDOW_BYTES = 128 * 1024;
/** Content that a handler has of one stream and has not dealt with before the window is left to
 *  close: half a window, so that it opens again before it is used up. */
export const HTTP2_UNCONSUMED_BYTES_MAX = HTTP2_WINDOW_BYTES / 2;
export const HTTP2_UNCONSUMED_BYTES_RESUME = HTTP2_UNCONSUMED_BYTES_MAX / 2;
