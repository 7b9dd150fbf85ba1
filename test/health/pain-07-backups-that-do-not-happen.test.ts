/**
 * Pain 7: backups that silently do not happen, since the interval is 0, the disk is full, or the folder may
 * not be written. One command tells, by its exit code, whatever the cause.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { healthLimits } from '../../src/health/limits.ts'
import { judge } from '../../src/health/rules.ts'
import { backup } from '../backup/backups.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { BEST, DAY, NOW, valuesOf } from './seen.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

test('`cairn health` ends with 18 while there is no backup, with 0 when there is, with 18 when it is gone', async () => {
  const health = async (...args: string[]): Promise<number | null> =>
    (await box.run(['health', '--quiet', '--skip', 'disk', '--skip', 'drill', ...args])).code
  await box.ok(['put', 'a', '--value', '1'])
  expect(await health()).toBe(18)
  await box.ok(['export-car'])
  expect(await health()).toBe(0)
  // A mount that is not there: the folder is another one, and empty.
  expect(await health('--backups-dir', box.path('unmounted'))).toBe(18)
  // Something lies where the folder should be: it can neither be read nor written.
  await writeFile(join(box.dir, 'file'), '')
  expect(await health('--backups-dir', box.path('file'))).toBe(18)
  const { stderr, code } = await box.run([
    'export-car',
    '--force',
    '--backups-dir',
    box.path('file'),
  ])
  expect(code).not.toBe(0)
  expect(stderr).toContain('error:')
})

const lacking = {
  backups: {
    value: {
      backups: [backup('old', { next: 5, at: NOW - 3 * DAY })],
      unfinished: [],
      damaged: [],
    },
  },
}
const checksOf = (seen: object, settings = {}): string[] =>
  judge({ ...BEST, ...seen }, healthLimits(valuesOf(settings), undefined, NOW))
    .filter(({ level }) => level !== 'ok')
    .map(({ check }) => check)

test('with exports switched off, the age of the newest backup tells', () => {
  const served = { automation: { value: { build: undefined, export: undefined } } }
  expect(checksOf({ ...lacking, ...served }, { export_schedule: 'never' })).toEqual(['car'])
})

test('an export that fails tells at once, long before the newest backup is old', () => {
  const failed = {
    failed: true,
    finishedAt: NOW,
    durationMs: 10,
    failuresInRow: 1,
    message: 'The file /backups/x cannot be written: this user may not.',
  }
  expect(checksOf({ automation: { value: { build: undefined, export: failed } } })).toEqual([
    'export',
  ])
})

test('a full disk tells before it is full', () => {
  const full = { space: { value: [{ where: 'the CARs in /backups', freePercent: 15 }] } }
  expect(checksOf(full)).toEqual(['disk'])
})
