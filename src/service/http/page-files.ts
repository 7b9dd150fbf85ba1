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
  /** Undefined: the page was not built, or cannot be read. */
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
  const names = unlessBad(() => readdirSync(assets)) ?? []
  return {
    index: readFile(folder, 'index.html'),
    assets: new Map(
      names.flatMap((name): [string, PageFile][] => {
        const file = extname(name) in TYPES ? readFile(assets, name) : undefined
        return file === undefined ? [] : [[name, file]]
      }),
    ),
  }
}

/** A page that is being built, or was built badly, must not keep the service from starting. */
function unlessBad<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
}

function readFile(folder: string, name: string): PageFile | undefined {
  const read = (ending: string): Buffer | undefined =>
    unlessBad(() => readFileSync(join(folder, name + ending)))
  const [identity, br, gzip] = [read(''), read('.br'), read('.gz')]
  if (identity === undefined) return undefined
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
