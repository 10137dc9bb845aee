// Which of HTML, JSON and plain text a client would rather read when something is told by Portico itself.

export type Preferred = 'html' | 'json' | 'text';

/** An Accept longer than this is not read further: what counts stands at its beginning. */
const RANGES_MAX = 64;

/** By the quality that Accept gives each, the first named winning a tie. Whoever names neither HTML
 *  nor JSON reads text: a program that takes anything (curl, fetch) has no use for a page. */
export function preferredText(accept: string | undefined): Preferred {
  if (accept === undefined || accept === '*/*') return 'text';
  let best: Preferred = 'text';
  let bestQuality = 0;
  let wildcard = 0;
  for (const range of accept.split(',', RANGES_MAX)) {
    const [type = '', ...parameters] = range.toLowerCase().split(';');
    const form = formOf(type.trim());
    if (form === null) continue;
    const quality = qualityOf(parameters);
    if (form === 'any') wildcard = Math.max(wildcard, quality);
    else if (quality > bestQuality) {
      best = form;
      bestQuality = quality;
    }
  }
  return wildcard > bestQuality ? 'text' : best;
}

function formOf(type: string): Preferred | 'any' | null {
  switch (type) {
    case 'text/html':
    case 'application/xhtml+xml':
      return 'html';
    case 'application/json':
    case 'text/json':
      return 'json';
    case 'text/plain':
      return 'text';
    case '*/*':
    case 'text/*':
      return 'any';
    default:
      // application/problem+json, application/vnd.api+json, application/ld+json …
      return type.endsWith('+json') ? 'json' : null;
  }
}

/** Weight (RFC 9110 section 12.4.2); one that is malformed counts as none given. */
function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const match = /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/.exec(parameter);
    if (match !== null) return Math.min(1, Number(match[1]));
  }
  return 1;
}
