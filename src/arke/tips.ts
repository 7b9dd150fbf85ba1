/** The `.tip` files of the old system in MFS, `INDEX/xx/yy/PI.tip`: a CID, with or without a newline. */
import type { CidBytes } from '../model/cid.ts'
import { readId } from './fields.ts'
import { readLink } from './links.ts'
import type { FindingSink } from './report.ts'
import type { OldFiles } from './source.ts'
import { throwIfAborted } from '../errors.ts'

export const INDEX = '/arke/index'
export const TEST_INDEX = '/arke/test/index'

const SUFFIX = '.tip'
/** Files that are read at a time. */
const WIDTH = 16

export interface TipFile {
  readonly key: string
  readonly tip: CidBytes
}

/** All tips under `index`, in batches; undefined directories are empty. */
export async function* tipFiles(
  files: OldFiles,
  index: string,
  findings: FindingSink,
  signal?: AbortSignal,
): AsyncGenerator<TipFile[]> {
  for (const first of (await files.list(index)) ?? []) {
    for (const second of (await files.list(`${index}/${first}`)) ?? []) {
      const folder = `${index}/${first}/${second}`
      const names = ((await files.list(folder)) ?? []).filter((name) => name.endsWith(SUFFIX))
      for (let from = 0; from < names.length; from += WIDTH) {
        throwIfAborted(signal)
        const some = names.slice(from, from + WIDTH)
        const read = await Promise.all(some.map((name) => readTip(files, folder, name, findings)))
        yield read.filter((one) => one !== undefined)
      }
    }
  }
}

async function readTip(
  files: OldFiles,
  folder: string,
  name: string,
  findings: FindingSink,
): Promise<TipFile | undefined> {
  const path = `${folder}/${name}`
  const key = readId(name.slice(0, -SUFFIX.length))
  const bytes = await files.read(path)
  const text = bytes === undefined ? '' : Buffer.from(bytes.subarray(0, 200)).toString('utf8')
  const link = readLink(text.trim())
  if (key !== undefined && link !== undefined && 'cid' in link) return { key, tip: link.cid }
  await findings.add('bad_file', { detail: path.slice(0, 1000) })
  return undefined
}
