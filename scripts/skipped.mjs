// A test reporter that names what was skipped, at the end; in CI nothing may be.

export default async function* skipped(source) {
  const names = [];
  for await (const { type, data } of source) {
    if ((type === 'test:pass' || type === 'test:fail') && data.skip !== undefined) {
      names.push(
        `${data.name}${typeof data.skip === 'string' && data.skip ? ` (${data.skip})` : ''}`,
      );
    }
  }
  for (const name of names) yield `skipped: ${name}\n`;
  if (names.length > 0 && process.env.CI) {
    yield 'In CI nothing is skipped: install what is missing in .ci/run.\n';
    process.exitCode = 1;
  }
}
