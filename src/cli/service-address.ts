/** The service that a command is to ask: its address, and the token for it. */
import { readFile } from 'node:fs/promises'
import { CairnError } from '../errors.ts'
import { fileError } from '../util/file-error.ts'
import type { Options } from './options.ts'

/** Secrets do not belong on a command line, where everybody on the machine may read them. */
export function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain =
    url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (isPlain && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, '')
  throw new CairnError('usage', 'That is no address of a service.', {
    hint: 'Give one such as http://127.0.0.1:3000; a token comes from --token-file or CAIRN_TOKEN.',
  })
}

export async function tokenOf(options: Options): Promise<string | undefined> {
  const path = options.text('--token-file')
  const given = path === undefined ? process.env['CAIRN_TOKEN'] : await readToken(path)
  const token = given?.trim()
  return token === '' ? undefined : token
}

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw fileError(cause, path, 'read')
  }
}
