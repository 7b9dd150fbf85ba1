/**
 * Pain 11: only one machine holds the data, and its loss is the loss of all. Health and coverage say so until
 * there is a CAR, and the CAR alone brings everything back on an empty machine.
 */
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from '../cli/sandbox.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

test('what coverage promises from the CARs alone comes back when the machine is lost', async () => {
  const input = Array.from({ length: 40 }, (_, i) => `{"pi":"k${i}","value":{"n":${i}}}\n`).join('')
  await box.ok(['import', '-'], { input })
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'late', '--value', '"after the snapshot"'])
  const alone = await box.run(['coverage', '--json'])
  expect(alone.code).toBe(18)
  expect(JSON.parse(alone.stdout)).toMatchObject({
    covered: false,
    findings: [{ kind: 'no_car', level: 'critical' }, { kind: 'unproved' }],
  })
  await box.ok(['export-car'])
  const covered = await box.json(['coverage'])
  const intervals = covered['intervals'] as { cars: { name: string; exact: boolean } | null }[]
  const { cars } = intervals.at(-1) ?? { cars: null }
  expect(cars).toMatchObject({ exact: true, proved_by: 'export' })
  const before = await box.ok(['export', '--values'])

  // The CAR alone gets away, without its sidecar.
  const name = cars?.name ?? ''
  await mkdir(box.path('elsewhere'))
  await cp(join(box.dir, '.cairn', 'backups', name), box.path('elsewhere', name))
  await rm(join(box.dir, '.cairn'), { recursive: true })
  expect((await box.run(['health', '--quiet'])).code).toBe(18)

  await box.ok(['restore-car', box.path('elsewhere', name)])
  expect(await box.ok(['export', '--values'])).toBe(before)
  expect(before.split('\n')).toHaveLength(42)
})
