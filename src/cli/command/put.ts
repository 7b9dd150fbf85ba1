import { readFile } from 'node:fs/promises'
import { smallOrStream } from '../../content/bytes.ts'
import { encodeJson, parseContent } from '../../content/encode.ts'
import { CairnError } from '../../errors.ts'
import { fileError } from '../../util/file-error.ts'
import { writeDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { addEntryOptions, entryOptions, printWritten } from '../entry-options.ts'
import { openInput } from '../input.ts'

export const put: CommandSpec = {
  examples: [
    [`cairn put greeting --value '{"hello":"world"}'`, 'a JSON value'],
    ['cairn put scan-7 page.tiff', 'the bytes of a file'],
    ['tar c dir | cairn put backup -', 'the bytes of stdin'],
    ['cairn put scan-7 --json-file meta.json --expect-ver 3', 'only if version 3 is current'],
  ],
  writes: true,
  define: (command) => {
    command
      .argument('<pi>', 'the id of the entity')
      .argument('[file]', 'a file whose bytes to store; - is stdin')
      .option('--value <json>', 'a JSON value to store (DAG-JSON, so links and bytes are possible)')
      .option('--json-file <file>', 'a file with a JSON value to store; - is stdin')
    addEntryOptions(command)
  },
  run: async (context) => {
    const [pi = ''] = context.args
    const options = { ...entryOptions(context.options), signal: context.signal }
    const { value, close } = await valueOf(context)
    try {
      await writeDataset(context, async (dataset) => {
        const result = await dataset.put(pi, value, options)
        await printWritten(context.output, result, result.tip)
      })
    } finally {
      close()
    }
  },
}

interface Value {
  readonly value: unknown
  readonly close: () => void
}

async function valueOf({ args, options, signal }: CommandContext): Promise<Value> {
  const file = args[1]
  const json = options.text('--value')
  const jsonFile = options.text('--json-file')
  if ([file, json, jsonFile].filter((one) => one !== undefined).length !== 1) {
    throw new CairnError('usage', 'A put takes one content.', {
      hint: 'Give a FILE, - for stdin, --value JSON or --json-file FILE.',
    })
  }
  if (file !== undefined) {
    const input = openInput(file, signal)
    return { value: await smallOrStream(input.chunks), close: input.close }
  }
  const text = json ?? (await readText(jsonFile ?? '-', signal))
  const value = parseJson(text, json === undefined ? '--json-file' : '--value')
  // Refuses what cannot be stored before a store is made for it.
  if (!(value instanceof Uint8Array)) encodeJson(value)
  return { value, close: () => {} }
}

function parseJson(text: string, flag: string): unknown {
  try {
    return parseContent(text)
  } catch (error) {
    // Where it is no JSON at all, what JSON.parse says is for people.
    try {
      JSON.parse(text)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new CairnError('invalid_content', `${flag} is not JSON: ${why}.`, {
        hint: `Check quotes and commas. A text has quotes of its own: '"text"'.`,
        cause,
      })
    }
    throw error
  }
}

async function readText(path: string, signal: AbortSignal): Promise<string> {
  if (path !== '-') {
    return readFile(path, { encoding: 'utf8', signal }).catch((cause: unknown) => {
      throw fileError(cause, path, 'read')
    })
  }
  const input = openInput(path, signal)
  const parts: Uint8Array[] = []
  for await (const part of input.chunks) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
