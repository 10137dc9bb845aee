// Reads a config file in YAML, with the line of each key.

import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { FileFault, type FileValue } from './file-value.ts';

/** Throws a FileFault where it isn't YAML. */
export function parseYaml(text: string): FileValue[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = document.errors[0];
  if (fault !== undefined) {
    throw new FileFault(fault.message, lines.linePos(fault.pos[0]).line);
  }
  const { contents } = document;
  // An empty file says nothing, and is allowed to.
  if (contents === null || (isScalar(contents) && contents.value === null)) return [];
  if (!isMap(contents)) throw new Error('expected a map of settings');
  return contents.items.map(({ key, value }) => {
    if (!isScalar(key)) throw new Error('expected a map of settings, with plain keys');
    const at = key.range?.[0];
    return {
      key: String(key.value),
      raw: plain(value, document),
      line: at === undefined ? null : lines.linePos(at).line,
    };
  });
}

function plain(value: unknown, document: ReturnType<typeof parseDocument>): unknown {
  // YAML 1.2 reads 022 as twenty-two; who writes `umask: 022` means the octal number.
  if (isScalar(value) && typeof value.value === 'number' && /^0\d+$/.test(value.source ?? ''))
    return value.source;
  if (value === null || typeof value !== 'object' || !('toJS' in value)) return value;
  // The limit guards against alias bombs; a config has no need of more.
  return (value as { toJS(of: unknown, options: object): unknown }).toJS(document, {
    maxAliasCount: 100,
  });
}
