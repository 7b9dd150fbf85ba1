/**
 * The files of the page, as its build has left them: read once, kept in memory, never looked up on the disk
 * by what a request says. Beside a file lie its compressed forms.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'

export type Encoding = 'br' | 'gzip' | 'identity'

export interface PageFile {
  readonly type: string
  readonly tag: string
  readonly bodies: Readonly<Partial<Record<Encoding, Buffer>>> & { readonly identity: Buffer }
}

export interface PageFiles {
  /** Undefined: the page was not built. */
  readonly index: PageFile | undefined
  /** By their names in `assets`, which change with what is in them. */
  readonly assets: ReadonlyMap<string, PageFile>
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export function readPageFiles(folder: string): PageFiles {
  const assets = join(folder, 'assets')
  const names = namesIn(assets).filter((name) => extname(name) in TYPES)
  return {
    index: namesIn(folder).includes('index.html') ? readFile(folder, 'index.html') : undefined,
    assets: new Map(names.map((name) => [name, readFile(assets, name)])),
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}

function readFile(folder: string, name: string): PageFile {
  const identity = readFileSync(join(folder, name))
  const there = namesIn(folder)
  const beside = (ending: string): Buffer | undefined =>
    there.includes(name + ending) ? readFileSync(join(folder, name + ending)) : undefined
  const [br, gzip] = [beside('.br'), beside('.gz')]
  return {
    type: TYPES[extname(name)] ?? 'application/octet-stream',
    tag: `"${createHash('sha256').update(identity).digest('base64url').slice(0, 22)}"`,
    bodies: {
      identity,
      ...(br === undefined ? {} : { br }),
      ...(gzip === undefined ? {} : { gzip }),
    },
  }
}

/** The smallest form that the client takes. */
export function chooseEncoding({ bodies }: PageFile, accepts: string | undefined): Encoding {
  const taken = new Set(
    (accepts ?? '').split(',').flatMap((one) => {
      const [name = '', ...parameters] = one.split(';').map((part) => part.trim().toLowerCase())
      return parameters.some((part) => /^q=0(?:\.0*)?$/.test(part)) ? [] : [name]
    }),
  )
  const smallestFirst = ['br', 'gzip'] as const
  return smallestFirst.find((one) => taken.has(one) && bodies[one] !== undefined) ?? 'identity'
}
