/** Which files `cairn import --layout radish` reads: of each map the newest one, told by what is in the files. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import { parseMapName } from '../live/layout.ts'
import { compareAge, mapNameOf, type FileHeader } from '../radish/format.ts'
import { peekHeader } from '../radish/read-file.ts'
import { fileError } from '../util/file-error.ts'
import { openInput } from './input.ts'

export interface MapFile {
  readonly path: string
  /** The map that it goes into. */
  readonly map: string
  /** The one that it says. */
  readonly header: FileHeader
}

export interface ChosenFiles {
  readonly files: readonly MapFile[]
  /** Older ones of the same maps. */
  readonly older: readonly string[]
  /** Files in folders that are not of this kind, or of other maps than asked for. */
  readonly passedOver: readonly string[]
}

export interface Choice {
  /** The one map that is asked for. */
  readonly only: string | undefined
  /** The map that the one file goes into, whatever it says. */
  readonly into: string | undefined
  readonly signal: AbortSignal
}

export async function chooseFiles(paths: readonly string[], choice: Choice): Promise<ChosenFiles> {
  const { only, into } = choice
  for (const name of [only, into]) if (name !== undefined) parseMapName(name)
  const newest = new Map<string, MapFile>()
  const older: string[] = []
  const passedOver: string[] = []
  for (const { path, named } of await candidates(paths, passedOver)) {
    throwIfAborted(choice.signal)
    const file = await lookAt(path, named, choice)
    if (file === undefined) passedOver.push(path)
    else older.push(...put(newest, file))
  }
  const files = [...newest.values()]
  if (files.length === 0) throw nothing(paths, only)
  if (into === undefined || files.length + older.length === 1) return { files, older, passedOver }
  throw new CairnError(
    'usage',
    `--into is for one file; these are ${files.length + older.length}.`,
    {
      hint: 'Name the one file.',
    },
  )
}

interface Candidate {
  readonly path: string
  /** By the caller: then it has to be what it is taken for. */
  readonly named: boolean
}

async function candidates(
  paths: readonly string[],
  passedOver: string[],
): Promise<readonly Candidate[]> {
  const found: Candidate[] = []
  for (const path of paths) {
    if (path === '-') {
      throw new CairnError('usage', 'Files of this layout are not read from stdin.', {
        hint: 'Name files, or a folder of them: each is read more than once.',
      })
    }
    try {
      if (!(await stat(path)).isDirectory()) found.push({ path, named: true })
      else {
        const entries = await readdir(path, { withFileTypes: true })
        for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
          const inside = join(path, entry.name)
          if (entry.isDirectory()) continue
          if (/\.json$/i.test(entry.name)) found.push({ path: inside, named: false })
          else passedOver.push(inside)
        }
      }
    } catch (error) {
      throw fileError(error, path, 'read')
    }
  }
  return found
}

/** Undefined for a file in a folder that is passed over. */
async function lookAt(
  path: string,
  named: boolean,
  { only, into, signal }: Choice,
): Promise<MapFile | undefined> {
  const header = await ofFile(path, signal, peekHeader)
  if (header === undefined) {
    if (!named) return undefined
    throw new CairnError('invalid_content', `The file ${path} is no backup of a map.`, {
      hint: 'It has neither "type" nor "cache_name" nor "data".',
      path,
    })
  }
  const map = await toldOf(path, () => into ?? mapNameOf(header))
  if (only === undefined || map === only) return { path, map, header }
  if (!named) return undefined
  throw new CairnError('usage', `The file ${path} is of the map "${map}", not of "${only}".`, {
    hint: `Name another file; or put it into that map with --into instead of --map.`,
    path,
    map,
  })
}

/** Reads a file; what is wrong with it is told as of that file. */
export async function ofFile<T>(
  path: string,
  signal: AbortSignal,
  read: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const input = openInput(path, signal)
  try {
    return await toldOf(path, () => read(input.chunks))
  } finally {
    input.close()
  }
}

async function toldOf<T>(path: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isCairnError(error) || error.details['path'] !== undefined) throw error
    const { code, message, hint, details } = error
    throw new CairnError(code, `In the file ${path}: ${message}`, {
      ...details,
      ...(hint === undefined ? {} : { hint }),
      path,
      cause: error,
    })
  }
}

/** Keeps the newer of two files of a map; gives the other one. */
function put(newest: Map<string, MapFile>, file: MapFile): string[] {
  const known = newest.get(file.map)
  const age = known === undefined ? 1 : compareAge(file.header, known.header)
  if (age === 0) {
    throw new CairnError('usage', `Two files of the map "${file.map}" are of the same moment.`, {
      hint: 'Name the one that is meant.',
      paths: [known?.path, file.path],
    })
  }
  if (age > 0) newest.set(file.map, file)
  return known === undefined ? [] : [age > 0 ? known.path : file.path]
}

function nothing(paths: readonly string[], only: string | undefined): CairnError {
  const what = only === undefined ? 'a map' : `the map "${only}"`
  return new CairnError('not_found', `No backup of ${what} is in ${paths.join(', ')}.`, {
    hint: 'Backups are .json files with "type", "cache_name", "timestamp", "item_count" and "data".',
  })
}
