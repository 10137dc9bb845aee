// Keeps builds at start and at each reload, beside the serving: one edge does it, one mount after another.

import type { Config } from '../../config/config.ts';
import type { Log } from '../../telemetry/log.ts';
import { keepBuild } from './keep-build.ts';

export class BuildKeeper {
  private readonly log: Log;
  private last: Promise<void> = Promise.resolve();

  constructor(log: Log) {
    this.log = log;
  }

  /** Returns at once; what fails is logged, and serving goes on without. */
  keep(config: Config): void {
    this.last = this.last.then(() => this.keepAll(config));
  }

  private async keepAll({ static: mounts, staticStore }: Config): Promise<void> {
    for (const mount of mounts) {
      if (mount.keepBuilds === 0) continue;
      const { prefix } = mount;
      try {
        const kept = await keepBuild(staticStore, mount);
        if (kept === null) {
          this.log.info('another instance keeps the builds of a mount', { prefix });
          continue;
        }
        const { files, builds, isNew, isCut } = kept;
        if (isNew) this.log.info('kept a build of static files', { prefix, files, builds });
        else this.log.debug('the build of static files is kept already', { prefix, files, builds });
        if (isCut)
          this.log.warning('too many static files with a hash: not all are kept', {
            prefix,
            files,
          });
      } catch (error) {
        const why = (error as Error).message;
        this.log.warning('cannot keep a build of static files', { prefix, staticStore, why });
      }
    }
  }
}
