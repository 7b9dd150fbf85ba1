/** The token for the service that a command is to ask. */
import { readFile } from 'node:fs/promises'
import { checkedToken, tokenOfEnvironment } from '../remote/token.ts'
import { fileError } from '../util/file-error.ts'
import type { Options } from './options.ts'

export async function tokenOf(options: Options): Promise<string | undefined> {
  const path = options.text('--token-file')
  return path === undefined ? tokenOfEnvironment() : checkedToken(await readToken(path))
}

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}
