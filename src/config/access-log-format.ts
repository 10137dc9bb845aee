// Reads an access log format: Gunicorn's atoms, and Portico's own as `%({name}x)s`. docs/access-log.md lists them.

import { nearest } from './did-you-mean.ts';

/** A piece of a format. `field`: request (i) or response (o) field; `variable`: of the environment. */
export type FormatPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'atom'; readonly atom: Atom }
  | { readonly kind: 'request-field' | 'response-field' | 'variable'; readonly name: string }
  | { readonly kind: 'fact'; readonly fact: Fact };

const gunicornFormat = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"';

/** "combined" is nginx's and Apache's; Gunicorn's own default writes the same. */
const named: Readonly<Record<string, string>> = { combined: gunicornFormat };

const atoms = ['h', 'l', 'u', 't', 'r', 'm', 'U', 'q', 'H', 's', 'B', 'b', 'f', 'a'] as const;
const timeAtoms = ['T', 'M', 'D', 'L', 'p'] as const;
export type Atom = (typeof atoms)[number] | (typeof timeAtoms)[number];

const facts = [
  'request-id',
  'upstream',
  'route',
  'queue-time',
  'upstream-time',
  'retries',
  'failure',
  'scheme',
  'host',
  'peer',
  'request-bytes',
  'time-iso8601',
  'tls-protocol',
  'tls-cipher',
  'tls-server-name',
  'tls-client-subject',
  'tls-client-fingerprint',
  'tls-client-verify',
] as const;
export type Fact = (typeof facts)[number];

const fieldKinds = { i: 'request-field', o: 'response-field', e: 'variable' } as const;

/** "%%", or "%(" name ")" and a letter, s or d as Python would take it. */
const placeholder = /%(?:%|\((\{[^{}]*\}[A-Za-z]|[A-Za-z])\)([sd]))/g;

/** Null for 'json', which is no format but all there is to say; else the parts of the format, or
 *  what is wrong with it. */
export function parseAccessLogFormat(format: string): readonly FormatPart[] | string | null {
  if (format === 'json') return null;
  const source = named[format] ?? format;
  const parts: FormatPart[] = [];
  let at = 0;
  const addText = (text: string): void => {
    const last = parts.at(-1);
    if (last?.kind === 'text') parts[parts.length - 1] = { kind: 'text', text: last.text + text };
    else if (text !== '') parts.push({ kind: 'text', text });
  };
  for (const match of source.matchAll(placeholder)) {
    const between = source.slice(at, match.index);
    if (between.includes('%')) return stray(between, at);
    addText(between);
    at = match.index + match[0].length;
    if (match[1] === undefined) {
      addText('%');
      continue;
    }
    const part = partOf(match[1]);
    if (typeof part === 'string') return `${match[0]} at character ${match.index + 1} ${part}`;
    parts.push(part);
  }
  const rest = source.slice(at);
  if (rest.includes('%')) return stray(rest, at);
  addText(rest);
  if (/[\0-\x1f\x7f]/.test(source)) return 'it holds a control character';
  return parts;
}

/** What is wrong with the format, or null. */
export function checkAccessLogFormat(format: string): string | null {
  const parts = parseAccessLogFormat(format);
  if (typeof parts === 'string') return parts;
  if (parts !== null && !parts.some((part) => part.kind !== 'text')) return withoutAtoms(format);
  return null;
}

function withoutAtoms(format: string): string {
  if (/\$[a-z_]/.test(format))
    return "nginx's variables are atoms here: %(h)s for $remote_addr, %({request-id}x)s for $request_id";
  const near = nearest(format, [...Object.keys(named), 'json']);
  if (near !== null) return `did you mean ${near}?`;
  return 'it has no atom such as %(h)s, and is neither combined nor json';
}

/** The part, or what is wrong with it. */
function partOf(inside: string): FormatPart | string {
  if (!inside.startsWith('{')) {
    const atom = [...atoms, ...timeAtoms].find((one) => one === inside);
    if (atom !== undefined) return { kind: 'atom', atom };
    return `is no atom; there are ${[...atoms, ...timeAtoms].join(' ')}, {name}i, {name}o, {name}e and {name}x`;
  }
  const name = inside.slice(1, -2);
  const letter = inside.at(-1) as string;
  if (letter === 'x') {
    const fact = facts.find((one) => one === name);
    if (fact !== undefined) return { kind: 'fact', fact };
    const near = nearest(name, facts);
    const hint = near === null ? `there are ${facts.join(', ')}` : `did you mean %({${near}}x)s?`;
    return `is no atom; ${hint}`;
  }
  if (!(letter in fieldKinds)) return `ends with none of i, o, e and x`;
  if (name === '') return 'names nothing';
  const kind = fieldKinds[letter as keyof typeof fieldKinds];
  return { kind, name: kind === 'variable' ? name : name.toLowerCase() };
}

function stray(text: string, from: number): string {
  const at = text.indexOf('%');
  const place = `"${text.slice(at, at + 12)}" at character ${from + at + 1}`;
  // Apache's "%h" and "%>s", "%{Referer}i".
  const apache = /^%>?(?:(\{[\w-]+\}[ioe])|([a-zA-Z]))/.exec(text.slice(at));
  const inside = apache?.[1] ?? apache?.[2];
  if (inside !== undefined && typeof partOf(inside) !== 'string')
    return `${place} is no atom: did you mean %(${inside})s?`;
  return `${place} is no atom: atoms are written %(h)s, and a percent sign %%`;
}
