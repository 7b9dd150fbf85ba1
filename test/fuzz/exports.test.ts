/** No decoder is forgotten: what is called like one is a target's, or says why not; and targets reach theirs. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startOf } from './corpus.ts'
import { Coverage } from './coverage.ts'

const PLACES = [
  'arke',
  'backend/kubo',
  'backend/s3',
  'backup',
  'car',
  'cli',
  'cluster',
  'config',
  'content',
  'gateway',
  'model',
  'offsite',
  's3',
  'tasks',
  'verify',
]
const DECODER =
  /^export (?:async )?function\*? ((?:decode|decrypt|dearmor|linesOf|linkOf|linksOf|open|parse|peek|read|scan)\w*|carBlocks)/gm

async function decoders(): Promise<string[]> {
  const found: string[] = []
  for (const place of PLACES) {
    const files = (await readdir(join('src', place))).filter((name) => name.endsWith('.ts'))
    for (const file of files) {
      const text = await readFile(join('src', place, file), 'utf8')
      for (const [, name] of text.matchAll(DECODER)) found.push(`${place}/${file}:${name}`)
    }
  }
  return found
}

test('every decoder is reached by a target, or says why not', async () => {
  const { NO_TARGETS, TARGETS } = await import('./targets.ts')
  const covered = new Set(TARGETS.flatMap(({ covers }) => covers))
  const there = await decoders()
  expect(there.length).toBeGreaterThan(50)
  expect(there.filter((one) => !covered.has(one) && !(one in NO_TARGETS))).toEqual([])
  expect(Object.keys(NO_TARGETS).filter((one) => !there.includes(one) || covered.has(one))).toEqual(
    [],
  )
})

test('the inputs that a target begins with run what it says to cover', async () => {
  const coverage = new Coverage((url) => url.includes('/src/'))
  try {
    const { TARGETS } = await import('./targets.ts')
    const missing: string[] = []
    for (const target of TARGETS) {
      for (const input of startOf(target)) await target.run(input)
      coverage.take()
      for (const one of target.covers) {
        const [file = '', name = ''] = one.split(':')
        const ending = `/src/${file} ${name.split('.').at(-1)}`
        if (![...coverage.ran].some((ran) => ran.endsWith(ending)))
          missing.push(`${target.name}: ${one}`)
      }
    }
    expect(missing).toEqual([])
  } finally {
    coverage.stop()
  }
})
