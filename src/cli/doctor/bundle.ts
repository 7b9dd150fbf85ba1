/** What a support request needs, in one file and without secrets. */
import { arch, cpus, release, totalmem, type } from 'node:os'
import { statusRecord } from '../command/status.ts'
import { maskedSettings } from '../command/config.ts'
import type { CommandContext } from '../command.ts'
import type { DatasetStatus } from '../../engine/status.ts'
import { writeNewFile } from '../new-file.ts'
import { VERSION } from '../../version.ts'
import type { CheckResult } from './check.ts'

export async function writeBundle(
  path: string,
  { config, options, output }: CommandContext,
  checks: readonly CheckResult[],
  status: DatasetStatus | undefined,
): Promise<void> {
  const { node, v8, uv, openssl } = process.versions
  const bundle = {
    schema: 'cairn/support-bundle@v1',
    made: new Date().toISOString(),
    versions: { cairn: VERSION, node, v8, uv, openssl },
    platform: {
      system: type(),
      release: release(),
      arch: arch(),
      cpus: cpus().length,
      memory_bytes: totalmem(),
    },
    config: maskedSettings(config),
    checks,
    status: status === undefined ? null : statusRecord(status),
  }
  await writeNewFile(path, options.switch('--force'), (file) =>
    file.line(output.redact(JSON.stringify(bundle, null, 2))),
  )
}
