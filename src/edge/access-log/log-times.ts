// The time as the Common Log Format has it, made once a second.

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let second = -1;
let text = '';

/** "[22/Nov/2026:09:15:45 +0000]", in the local time zone. */
export function clfTime(wallMs: number): string {
  const now = Math.floor(wallMs / 1000);
  if (now === second) return text;
  second = now;
  const date = new Date(wallMs);
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${date.getFullYear()}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const offset = -date.getTimezoneOffset();
  const minutes = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.trunc(minutes / 60))}${two(minutes % 60)}`;
  text = `[${day}:${time} ${zone}]`;
  return text;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
