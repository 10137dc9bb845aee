// Chooses a content coding by Accept-Encoding (RFC 9110 section 12.5.3).

/** Weights are thousandths: "0.001" is the least that is not 0, and integers compare exactly. */
const MOST = 1000;

/** More elements than any client names; what comes after is not read. */
const ELEMENTS_MAX = 64;

/**
 * The coding of `offered` (lower case, the server's favourite first) to send: the one of highest
 * quality, and of equals the first. Null is identity: the content as it is, which also is sent where
 * nothing is acceptable, since a 406 would help nobody and RFC 9110 leaves that to the server. No
 * field at all would permit any coding, but clients that send none seldom can decode one.
 */
export function negotiateEncoding(
  acceptEncoding: string | undefined,
  offered: readonly string[],
): string | null {
  if (acceptEncoding === undefined || acceptEncoding === '') return null;
  const weights = parseAcceptEncoding(acceptEncoding);
  const any = weights.get('*');
  let best: string | null = null;
  let bestWeight = 0;
  for (const coding of offered) {
    const weight = weightOf(weights, coding) ?? any ?? 0;
    if (weight > bestWeight) {
      best = coding;
      bestWeight = weight;
    }
  }
  // Identity is acceptable unless it, or "*" without it, is excluded. It wins only where the client
  // says that it wants it more: "gzip;q=0.5" alone says nothing against gzip.
  const identity = weights.get('identity');
  return identity !== undefined && identity > bestWeight ? null : best;
}

/** "x-gzip" is to be taken for gzip (RFC 9110 section 8.4.1.3). */
function weightOf(weights: ReadonlyMap<string, number>, coding: string): number | undefined {
  return weights.get(coding) ?? (coding === 'gzip' ? weights.get('x-gzip') : undefined);
}

/** Codings in lower case and their weights from 0 to 1000. Elements that are none are left out; of
 *  one that is there twice the last counts. */
function parseAcceptEncoding(value: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const element of value.split(',', ELEMENTS_MAX)) {
    const semicolon = element.indexOf(';');
    const name = (semicolon === -1 ? element : element.slice(0, semicolon)).trim().toLowerCase();
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) continue;
    const weight = semicolon === -1 ? MOST : parseWeight(element.slice(semicolon + 1));
    if (weight !== null) weights.set(name, weight);
  }
  return weights;
}

/** `weight = OWS ";" OWS "q=" qvalue`: at most three digits after the point. */
function parseWeight(text: string): number | null {
  const match = /^[ \t]*[qQ]=(?:(0)(?:\.(\d{0,3}))?|1(?:\.0{0,3})?)[ \t]*$/.exec(text);
  if (match === null) return null;
  if (match[1] === undefined) return MOST;
  return Number((match[2] ?? '').padEnd(3, '0'));
}
