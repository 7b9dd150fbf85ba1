import type { Dataset } from '../../engine/dataset.ts'
import { printContent } from '../../content/encode.ts'
import { parseCid, readCid, type CidBytes } from '../../model/cid.ts'
import { readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { noEntity } from '../find.ts'
import { addMoment, momentOf } from '../moment.ts'
import type { Output } from '../output.ts'

export const cat: CommandSpec = {
  examples: [
    ['cairn cat greeting', 'the value, as one line of DAG-JSON'],
    ['cairn cat scan-7 > page.tiff', 'the bytes'],
    ['cairn cat bafyrei...', 'the content of a CID'],
    ['cairn cat greeting --at 2026-05-01T12:00:00Z', 'as it was then'],
  ],
  define: (command) => {
    command
      .argument('<pi|cid>', 'the id of an entity, or the CID of a content')
      .option('--cid', 'it is a CID, even if an entity has it as its id')
    addMoment(command)
  },
  run: async (context) => {
    await readDataset(context, async (dataset) => {
      const tip = await tipOf(context, dataset)
      const content = await dataset.content(tip, { signal: context.signal })
      const { output } = context
      if (content.kind === 'value') await output.line(printContent(content.value))
      else if (output.json) await printBytesAsJson(content.bytes, output)
      else for await (const part of content.bytes) await output.bytes(part)
    })
  },
}

async function tipOf(
  { args, options, signal }: CommandContext,
  dataset: Dataset,
): Promise<CidBytes> {
  const [name = ''] = args
  if (options.switch('--cid')) return parseCid(name)
  const at = momentOf(options)
  const entry = await dataset.get(name, { signal, ...(at === undefined ? {} : { at }) })
  const tip = entry?.tip ?? readCid(name)
  if (tip === undefined) throw noEntity(name, dataset.name)
  return tip
}

/** Bytes in DAG-JSON, as they come: base64 is written in groups of three bytes. */
async function printBytesAsJson(bytes: AsyncIterable<Uint8Array>, output: Output): Promise<void> {
  await output.text('{"/":{"bytes":"')
  let rest = Buffer.alloc(0)
  for await (const part of bytes) {
    const all = Buffer.concat([rest, part])
    const whole = all.length - (all.length % 3)
    await output.text(all.toString('base64', 0, whole))
    rest = all.subarray(whole)
  }
  await output.line(`${rest.toString('base64').replaceAll('=', '')}"}}`)
}
