// Finds the files of a directory that are worth a compressed sibling.

import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';

export interface Found {
  readonly path: string;
  readonly stats: Stats;
}

export interface Findings {
  readonly files: readonly Found[];
  /** What could not be read: path and why. */
  readonly problems: readonly string[];
}

/** A packet carries about as much anyhow. */
const bytesMin = 1024;
/** They are compressed in memory, several at a time. */
const bytesMax = 64 * 1024 ** 2;
const depthMax = 64;

/** What text and text-like formats are called; pictures, video, archives and WOFF are compressed already. */
const extensions = new Set(
  `appcache atom bmp cjs css csv cur eot geojson gltf graphql htm html ics ico ini js json json5 jsonld jsx
  less log map md mjs mml mpd m3u8 otf pdb ply ps rdf rss rtf scss srt svg tex text toml topojson ts tsv tsx ttf
  txt vcf vtt vue wasm webmanifest wgsl xhtml xlf xml xsd xsl xslt yaml yml`.split(/\s+/),
);

/** Regular files in `dir` and below, in order. Links are not followed: what they lead to has its own place. */
export async function findFiles(dir: string): Promise<Findings> {
  const files: Found[] = [];
  const problems: string[] = [];
  const visit = async (at: string, depth: number): Promise<void> => {
    const entries = await entriesOf(at, problems);
    for (const entry of entries) {
      const path = join(at, entry.name);
      // The mounts do not serve names with a dot in front, and node_modules is nobody's public folder.
      if (entry.name.startsWith('.') && entry.name !== '.well-known') continue;
      if (entry.isDirectory()) {
        if (depth < depthMax) await visit(path, depth + 1);
        else problems.push(`${path}: more than ${depthMax} directories deep`);
      } else if (entry.isFile() && extensions.has(extname(entry.name).slice(1).toLowerCase())) {
        const stats = await lstat(path).catch(() => null);
        if (stats !== null && stats.size >= bytesMin && stats.size <= bytesMax)
          files.push({ path, stats });
        else if (stats !== null && stats.size > bytesMax)
          problems.push(`${path}: larger than ${bytesMax / 1024 ** 2} MB`);
      }
    }
  };
  await visit(dir, 0);
  return { files, problems };
}

async function entriesOf(dir: string, problems: string[]): Promise<Dirent[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    problems.push(`${dir}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return [];
  }
}
