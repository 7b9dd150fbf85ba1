/**
 * What is looked at before lmdb opens its files, because lmdb-js 3.5.6 ends the process with a
 * segmentation fault when an opening fails, and the system does (SIGBUS) when a page is read that a
 * file cut short no longer has.
 */
import { access, constants, open, statfs } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError } from '../../errors.ts'
import { ifAbsent } from '../../util/system-error.ts'

/** More files than an opening of lmdb opens, with some for who opens others at this moment. */
const FILES = 12
const NEW_STORE_BYTES = 2 ** 20
const MAGIC = 0xbeefc0de
const VERSION = 2
// Where lmdb's header (data format 2, 64 bits) keeps things, from the start of its page.
const AT_MAGIC = 24
const AT_VERSION = 28
const AT_PAGE_SIZE = 48
const AT_LAST_PAGE = 144
const AT_TRANSACTION = 152
const HEADER_BYTES = 160

export async function checkFiles(dir: string): Promise<void> {
  await access(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  for (const name of ['data.mdb', 'lock.mdb']) {
    await access(join(dir, name), constants.R_OK | constants.W_OK).catch(ifAbsent)
  }
  await checkOpenFiles(dir)
  const file = await open(join(dir, 'data.mdb')).catch(ifAbsent)
  try {
    if (file === undefined) await checkSpace(dir)
    else await checkData(file, dir)
  } finally {
    await file?.close()
  }
}

/** Whether this process may open some more files. */
async function checkOpenFiles(dir: string): Promise<void> {
  const files: FileHandle[] = []
  try {
    while (files.length < FILES) files.push(await open(dir))
  } finally {
    for (const file of files) await file.close()
  }
}

/** On a full disk a store that exists can be opened, but a new one cannot be made. */
async function checkSpace(dir: string): Promise<void> {
  const free = await freeBytes(dir)
  if (free >= NEW_STORE_BYTES) return
  throw new CairnError('no_space', `There is no space for a new store in ${dir}.`, {
    hint: 'Free some space on its disk and try again.',
    path: dir,
    free,
  })
}

export async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir)
  return bavail * bsize
}

async function checkData(file: FileHandle, dir: string): Promise<void> {
  const first = await header(file, 0)
  if (first.length === 0) return // somebody is making it
  if (first.length < HEADER_BYTES || first.readUInt32LE(AT_MAGIC) !== MAGIC) {
    throw foreign('is not one of lmdb', dir)
  }
  const version = first.readUInt32LE(AT_VERSION) & 0xffff
  if (version !== VERSION) throw foreign(`has lmdb's data format ${version}`, dir)
  const pageSize = first.readUInt32LE(AT_PAGE_SIZE)
  const second = await header(file, pageSize)
  if (second.length < HEADER_BYTES) throw cutShort(dir)
  const newest =
    first.readBigUInt64LE(AT_TRANSACTION) > second.readBigUInt64LE(AT_TRANSACTION) ? first : second
  const pages = Number(newest.readBigUInt64LE(AT_LAST_PAGE)) + 1
  // The size after the header: others may be writing, and write pages before they name them.
  const missing = pages - (await file.stat()).size / pageSize
  if (missing > allowance(pages)) throw cutShort(dir)
}

/** lmdb may leave out the last few pages when they were freed by the very transaction that took them. */
function allowance(pages: number): number {
  return Math.min(Math.max(pages / 8, 16), 256)
}

async function header(file: FileHandle, position: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(
    Buffer.alloc(HEADER_BYTES),
    0,
    HEADER_BYTES,
    position,
  )
  return buffer.subarray(0, bytesRead)
}

function foreign(why: string, dir: string): CairnError {
  return new CairnError('format_unsupported', `The file data.mdb in ${dir} ${why}.`, {
    hint: 'Check that the folder is the right one, or restore the store from a backup.',
    path: dir,
  })
}

function cutShort(dir: string): CairnError {
  return new CairnError('invalid_block', `The file data.mdb in ${dir} has lost its end.`, {
    hint: 'Check the disk, then restore the store from a backup.',
    path: dir,
  })
}
