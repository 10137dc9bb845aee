// One value that was given for a setting, and where; and how a value that will not do is reported.

/** Where a value came from. */
export interface Origin {
  readonly from: 'default' | 'file' | 'environment' | 'command line';
  /** As it is shown: "--workers", "PORTICO_WORKERS", "portico.config.yaml:3", "default". */
  readonly label: string;
}

/** A value as given: text, or whatever a config file holds. */
export interface Assignment {
  readonly key: string;
  readonly raw: unknown;
  readonly origin: Origin;
  /** Not ours alone, such as PORT: what it holds matters only when nothing stronger is given. */
  readonly shared?: true;
}

export const defaultOrigin: Origin = { from: 'default', label: 'default' };

/** "Cannot use gracefulTimeout "10x" (from --graceful-timeout): expected a duration such as …". */
export function problem(
  key: string,
  raw: unknown,
  origin: Origin,
  expected: string,
  hint = '',
): string {
  const more = hint === '' ? '' : `; ${hint}`;
  const shown = isSecretName(key) ? hidden : quote(raw);
  return `Cannot use ${key} ${shown} (from ${origin.label}): expected ${expected}${more}`;
}

const hidden = '(hidden)';

/** Passwords are neither quoted nor printed, wherever they stand. */
export function isSecretName(name: string): boolean {
  return /pass(word|phrase)|secret|hmac/i.test(name);
}

/** For JSON.stringify: leaves secrets out. */
export function hideSecrets(name: string, value: unknown): unknown {
  return isSecretName(name) && value !== null && value !== undefined ? hidden : value;
}

const quotedLengthMax = 120;

/** A value on one line, without control bytes, not too long. */
export function quote(raw: unknown): string {
  // A list of one, as a repeatable flag makes it, is shown as what was typed.
  const shown = Array.isArray(raw) && raw.length === 1 ? raw[0] : raw;
  let text: string;
  try {
    text = JSON.stringify(shown, hideSecrets) ?? String(shown);
  } catch {
    text = Object.prototype.toString.call(shown);
  }
  if (typeof shown === 'function') text = 'a function';
  if (text.length <= quotedLengthMax) return text;
  return `${text.slice(0, quotedLengthMax)}…${text.startsWith('"') ? '"' : ''}`;
}
