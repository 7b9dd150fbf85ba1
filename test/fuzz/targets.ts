/** All targets of the fuzzer, and what is none. `test/fuzz/exports.test.ts` holds the table to the code. */
import type { Target } from './target.ts'
import { AGE_TARGETS } from './targets/age.ts'
import { BUCKET_TARGETS } from './targets/bucket.ts'
import { CAR_TARGETS } from './targets/cars.ts'
import { CONTENT_TARGETS } from './targets/content.ts'
import { FILE_TARGETS } from './targets/files.ts'
import { GATEWAY_TARGETS } from './targets/gateway.ts'
import { IDENTIFIER_TARGETS } from './targets/identifiers.ts'
import { NODE_TARGETS } from './targets/node.ts'
import { OFFSITE_TARGETS } from './targets/offsite.ts'
import { OLD_TARGETS } from './targets/old.ts'
import { RECORD_TARGETS } from './targets/records.ts'
import { SERVER_TARGETS } from './targets/servers.ts'

export const TARGETS: readonly Target[] = [
  ...RECORD_TARGETS,
  ...IDENTIFIER_TARGETS,
  ...CONTENT_TARGETS,
  ...FILE_TARGETS,
  ...CAR_TARGETS,
  ...AGE_TARGETS,
  ...OLD_TARGETS,
  ...NODE_TARGETS,
  ...BUCKET_TARGETS,
  ...OFFSITE_TARGETS,
  ...GATEWAY_TARGETS,
  ...SERVER_TARGETS,
]

export function targetsNamed(names: string | undefined): readonly Target[] {
  if (names === undefined) return TARGETS
  const wanted = names.split(',')
  const found = TARGETS.filter(({ name }) => wanted.includes(name))
  if (found.length === wanted.length) return found
  throw new Error(`There are these targets: ${TARGETS.map(({ name }) => name).join(', ')}`)
}

/**
 * What is called like a decoder and is no target. `test/fuzz/exports.test.ts` asks for each of them to be
 * here or covered.
 */
export const NO_TARGETS: Readonly<Record<string, string>> = {
  'backend/kubo/index.ts:openKubo': 'opens a node',
  'backend/kubo/old-files.ts:openOldFiles': 'opens a node',
  'backend/kubo/recover.ts:openRecovery': 'opens a node, whose blocks the target "commit" reads',
  'backend/s3/index.ts:openBucketStore': 'opens a store, whose objects the bucket targets read',
  'backup/read-file.ts:readAll': 'copies bytes without looking at them',
  'backup/folder.ts:readBackup': 'reads a file for parseSidecar',
  'backup/folder.ts:readBackups': 'reads files for parseSidecar',
  'backup/folder.ts:readSidecar': 'reads a file for parseSidecar',
  'backup/open-cars.ts:openCars': 'puts together decryptWith and CarFile.open',
  'backup/spool.ts:openSpool': 'makes an empty file',
  'cli/command.ts:readDataset': 'opens a store',
  'cli/input.ts:openInput': 'opens a file',
  'cli/snapshot-history.ts:readHistory': 'asks a dataset',
  'model/cid.ts:readCid': 'says undefined where parseCid refuses',
  'offsite/read-car.ts:readCar': 'copies bytes without looking at them',
  'verify/verify.ts:openTarget': 'opens a dataset',
}
