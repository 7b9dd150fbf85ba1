/** Where files lie on the machine is nothing for who asks over the network: names stay, folders go. */
import type { FastifyInstance } from 'fastify'
import type { Values } from '../../config/schema.ts'

type Folders = Pick<Values, 'data_dir' | 'backups_dir'>

/** For the text of an answer. The folder of backups may lie in the other one. */
export function withoutFolders({ data_dir, backups_dir }: Folders): (text: string) => string {
  const hide = [
    { folder: backups_dir, name: 'the folder of backups' },
    { folder: data_dir, name: 'the data folder' },
  ].map(({ folder, name }) => ({ pattern: within(folder), name }))
  return (text) =>
    hide.reduce(
      (told, { pattern, name }) => told.replace(pattern, (_, slash) => (slash === '/' ? '' : name)),
      text,
    )
}

/** As it stands in JSON, with the slash behind it or as the end of a word. */
function within(folder: string): RegExp {
  const text = JSON.stringify(folder).slice(1, -1)
  return new RegExp(`${text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')}(/|(?![\\w-]))`, 'g')
}

/** For all routes of a plugin. */
export function hideFolders(app: FastifyInstance, values: () => Folders): void {
  app.addHook('onSend', (_request, _reply, payload, done) => {
    done(null, typeof payload === 'string' ? withoutFolders(values())(payload) : payload)
  })
}
