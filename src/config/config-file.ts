/** The config file: a JSON object with the names of settings. */
import { CairnError } from '../errors.ts'

export function parseConfigFile(
  json: string,
  path: string,
  isKnown: (name: string) => boolean,
): Map<string, string> {
  const values = new Map<string, string>()
  for (const [name, value] of Object.entries(parseObject(json, path))) {
    if (!isKnown(name)) {
      throw refused(
        path,
        `there is no setting "${name}"`,
        'Run `cairn config` for the names there are.',
      )
    }
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw refused(
        path,
        `"${name}" is neither a text nor a number`,
        'Write it as in docs/CONFIG.md.',
      )
    }
    values.set(name, String(value))
  }
  return values
}

function parseObject(json: string, path: string): object {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // The parser's own message quotes the text, in which a secret may stand.
    throw refused(path, 'it is not JSON', 'Check its quotes and commas; comments are not allowed.')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw refused(path, 'it is not an object', 'Write { "store": "lmdb:/data" }, for example.')
}

function refused(path: string, why: string, hint: string): CairnError {
  return new CairnError('config', `The config file ${path} cannot be used: ${why}.`, { hint, path })
}
