/** Entries as bodies of requests bring them. */
import type { ImportEntry } from '../../engine/import-entry.ts'
import { timeOf } from './moment.ts'
import type { BatchEntry, EntityPut } from '../schemas/entry.ts'

/** `exact` gives the value as it is to be stored. */
export function importEntryOf(
  pi: string,
  given: EntityPut | BatchEntry,
  exact: () => unknown,
): ImportEntry {
  const { ts, exp } = given
  const fields = {
    pi,
    ver: given.ver,
    ts: ts === undefined ? undefined : timeOf(ts, 'ts'),
    exp: exp === undefined || exp === null ? exp : timeOf(exp, 'exp'),
    expectVer: given.expect_ver,
    expectTip: given.expect_tip,
  }
  if (given.tip !== undefined) return { ...fields, tip: given.tip }
  if (given.bytes !== undefined) return { ...fields, value: Buffer.from(given.bytes, 'base64') }
  return { ...fields, value: exact() }
}
