import { CairnError } from '../../errors.ts'
import { parseCid } from '../../model/cid.ts'
import { readDataset, writeDataset, type CommandSpec } from '../command.ts'
import { addEntryOptions, entryOptions, printWritten } from '../entry-options.ts'

export const append: CommandSpec = {
  examples: [
    ['cairn append scan-7 bafyrei...', 'the next version of scan-7'],
    ['cairn append scan-7 bafyrei... --ver 4', 'as version 4: a retry is safe'],
    ['cairn append scan-7 --delete', 'delete it'],
  ],
  writes: true,
  define: (command) => {
    command
      .argument('<pi>', 'the id of the entity')
      .argument('[tip]', 'the CID of its content')
      .option('--delete', 'delete the entity')
    addEntryOptions(command)
  },
  run: async (context) => {
    const [pi = '', cid] = context.args
    const remove = context.options.switch('--delete')
    if (remove === (cid !== undefined)) {
      throw new CairnError('usage', 'An append takes either a tip or --delete.', {
        hint: 'Give the CID of the content; `cairn put` stores a content and appends it.',
      })
    }
    const tip = cid === undefined ? null : parseCid(cid)
    const entry = { pi, tip, ...entryOptions(context.options) }
    // What is not there cannot be deleted, so no dataset is made for it.
    const open = remove ? readDataset : writeDataset
    await open(context, async (dataset) => {
      const appended = await dataset.append(entry, { signal: context.signal })
      if (remove && appended.ver === 1) {
        context.output.note(`there was no entity "${pi}"; the deletion is remembered all the same`)
      }
      await printWritten(context.output, appended, tip)
    })
  },
}
