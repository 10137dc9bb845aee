// Finds where a syntax error of an ES module is: Node tells file and line only when it dies of it.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createJiti } from 'jiti';

/** Files looked at, at most: this is for a message, and an app may be large. */
const filesMax = 200;

/** "path:line:column" of the first module reachable by relative static imports that can't be parsed. */
export function locateSyntaxError(entry: string): string | null {
  const jiti = createJiti(import.meta.url, { fsCache: false });
  const queue = [entry];
  const seen = new Set(queue);
  for (const file of queue) {
    let source: string;
    try {
      source = readFileSync(file, 'utf8');
    } catch {
      continue;
    }
    const problem = parseProblem(jiti, file, source);
    if (problem !== null) return problem;
    for (const specifier of relativeImports(source)) {
      const next = resolve(dirname(file), specifier);
      if (seen.size >= filesMax || seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  return null;
}

function parseProblem(
  jiti: ReturnType<typeof createJiti>,
  file: string,
  source: string,
): string | null {
  const code = jiti.transform({ source, filename: file, ts: /\.[mc]?ts$/.test(file), async: true });
  // The transform doesn't throw: it returns a module that exports what the parser said.
  const json = /^exports\.__JITI_ERROR__ = (\{.*\})/.exec(code)?.[1];
  if (json === undefined) return null;
  const { line, column } = JSON.parse(json) as { line?: number; column?: number };
  return `${file}:${line ?? 1}:${column ?? 1}`;
}

function relativeImports(source: string): string[] {
  const found = source.matchAll(/(?:\bfrom|\bimport)\s*['"](\.{1,2}\/[^'"]+)['"]/g);
  return [...found].map((match) => match[1]!);
}
