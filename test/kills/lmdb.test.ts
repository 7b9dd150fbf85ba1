/** The embedded store: exports, restores and prunes whose process is killed at random moments. */
import { beforeAll, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { expectKillsHarmless } from './expect.ts'

const KILLS = Number(process.env['KILLS'] ?? 14)

beforeAll(async () => {
  await builtDist()
}, 120_000)

test(`${KILLS} kills lose nothing and leave no half file`, async () => {
  await expectKillsHarmless('lmdb', KILLS)
}, 180_000)
