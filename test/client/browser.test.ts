/** The built client runs where there is no Node: its files import each other and nothing else. */
import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'

const IMPORT = /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g
/** Words of Node that a browser does not have. */
const OF_NODE = /\b(?:Buffer|process|require|__dirname|setImmediate|global)\b/

async function graph(): Promise<ReadonlyMap<string, string>> {
  const dist = await builtDist()
  const found = new Map<string, string>()
  const visit = async (file: string): Promise<void> => {
    const name = relative(dist, file)
    if (found.has(name)) return
    const text = await readFile(file, 'utf8')
    found.set(name, text)
    for (const [, target = ''] of text.matchAll(IMPORT)) {
      expect(target, `${name} imports ${target}`).toMatch(/^\.\//)
      await visit(join(dirname(file), target))
    }
  }
  await visit(join(dist, 'client', 'index.js'))
  return found
}

const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*.*?\*\//gs, '').replaceAll(/\/\/.*$/gm, '')

test('no file that the client needs is of Node, of a package, or of the rest of Cairn', async () => {
  const files = await graph()
  expect(files.size).toBeGreaterThan(10)
  for (const [name, text] of files) {
    expect(name).toMatch(/^client\//)
    expect(OF_NODE.exec(withoutComments(text))?.[0], name).toBeUndefined()
  }
})
