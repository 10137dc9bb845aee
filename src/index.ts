// The public API: what a portico.config.ts may import.

export type { Config } from './config/config.ts';
