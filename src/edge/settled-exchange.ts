// An exchange that is over, as access log and metrics see it.

import type { Exchange, Fields, RequestHead } from '../http/exchange.ts';

export interface SettledExchange extends Exchange {
  /** The request as the client sent it, whatever the edge's steps made of it. For a request that
   *  was refused, as much as was understood: method and target may be ''. */
  readonly received: RequestHead;
  /** The response's fields as its handler gave them; empty if there was no response. */
  readonly responseFields: Fields;
}
