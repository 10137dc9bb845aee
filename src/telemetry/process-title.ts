// Names the process in ps and top, by its role.

/** Sets "portico: worker 2 (app.js)" and the like. */
export function setProcessTitle(role: string, detail = ''): void {
  process.title = detail === '' ? `portico: ${role}` : `portico: ${role} (${detail})`;
}
