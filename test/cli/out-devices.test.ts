/** What is no regular file is not replaced by one: a device or a pipe that others use would be gone. */
import { execFileSync } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox } from './sandbox.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
  await box.ok(['put', 'a', '--value', '1'])
  await box.ok(['export-car'])
  execFileSync('mkfifo', [box.path('pipe')])
})

afterAll(() => box.remove())

test.for([
  ['export', '--out', 'pipe', '--force'],
  ['export-car', '--out', 'pipe', '--force'],
  ['drill', '--report', 'pipe'],
])('%s', async (args) => {
  const { exit, code } = await box.fails(args)
  expect([exit, code]).toEqual([2, 'usage'])
  expect((await stat(box.path('pipe'))).isFIFO()).toBe(true)
})
