/** The commands in a piece of shell, as lists of words: enough of the shell for documents. */

const ENDS = new Set(['|', '&', ';', '(', ')', '\n'])

export function commandsIn(text: string): string[][] {
  const commands: string[][] = []
  let words: string[] = []
  let word: string | undefined
  const endWord = (): void => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  const endCommand = (): void => {
    endWord()
    if (words.length > 0) commands.push(words)
    words = []
  }
  const joined = text.replaceAll(/\\\n\s*/g, '')
  for (let at = 0; at < joined.length; at++) {
    const char = joined.charAt(at)
    if (char === "'") {
      const end = joined.indexOf("'", at + 1)
      word = (word ?? '') + joined.slice(at + 1, end)
      at = end
    } else if (char === '"') {
      const [all = '', inner = ''] = /^"((?:[^"\\]|\\.)*)"/s.exec(joined.slice(at)) ?? []
      // What stands in $(...) within quotes is a command of its own, too.
      for (const [, nested = ''] of inner.matchAll(/\$\(([^()]*)\)/g))
        commands.push(...commandsIn(nested))
      word = (word ?? '') + inner
      at += all.length - 1
    } else if (char === '#' && word === undefined) {
      const end = joined.indexOf('\n', at)
      at = (end < 0 ? joined.length : end) - 1
    } else if (char === '>' || char === '<') {
      // The number before it names what is redirected.
      if (word !== undefined && /^\d$/.test(word)) word = undefined
      endWord()
      const [skipped = ''] = /^[<>&]*\s*[^\s|;&()]*/.exec(joined.slice(at)) ?? []
      at += skipped.length - 1
    } else if (ENDS.has(char)) endCommand()
    else if (/\s/.test(char)) endWord()
    else word = (word ?? '') + char
  }
  endCommand()
  return commands
}
