/** A Kubo node: exports, restores and prunes whose process or node is killed at random moments. */
import { beforeAll, expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { expectKillsHarmless } from './expect.ts'
import { isInside } from './run.ts'

const KILLS = 6

beforeAll(async () => {
  await builtDist()
}, 120_000)

test('6 kills, half of them of the node, lose nothing and leave no half file', async () => {
  const { kills } = await expectKillsHarmless('kubo', KILLS)
  const ofTheNode = kills.filter(({ victim }) => victim === 'node')
  expect(ofTheNode.filter(isInside).length).toBe(KILLS / 2)
}, 300_000)
