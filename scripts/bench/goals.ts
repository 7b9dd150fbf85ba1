/** DESIGN's goals, by the names of the figures they are for. */
export interface Goal {
  readonly figure: RegExp
  readonly limit: number
  /** `below` for times and memory, `above` for rates. */
  readonly side: 'below' | 'above'
  readonly text: string
}

export const GOALS: readonly Goal[] = [
  {
    figure: /^tree from sorted entries/,
    limit: 1_500_000,
    side: 'above',
    text: 'over 1,500,000 /s',
  },
  { figure: /^full fold, 10000000$/, limit: 15_000, side: 'below', text: 'under 15 s' },
  { figure: /^full fold, 10000000, memory/, limit: 256, side: 'below', text: 'under 256 MB' },
  { figure: /over 1000000$/, limit: 600, side: 'below', text: 'under 0.6 s' },
  { figure: /over 1000000, memory$/, limit: 128, side: 'below', text: 'under 128 MB' },
  { figure: /^lookup, 1000000, warm/, limit: 4, side: 'below', text: 'under 4 us' },
  { figure: /^lookup, 1000000, leaf/, limit: 1000, side: 'below', text: 'under 1 ms' },
  {
    figure: /^page of 100/,
    limit: 50,
    side: 'below',
    text: 'under 50 us, the same at every offset',
  },
  {
    figure: /^durable appends, 64/,
    limit: 50_000,
    side: 'above',
    text: 'over 50,000 /s, or 70% of clients / (2 x sync)',
  },
  { figure: /^kubo: build 2300 new onto 0/, limit: 500, side: 'below', text: 'under 0.5 s' },
  { figure: /^kubo: build 10000 new onto 0/, limit: 1000, side: 'below', text: 'under 1 s' },
  {
    figure: /^kubo: build 5000 new onto 100000, without/,
    limit: 1000,
    side: 'below',
    text: "under 1 s, the node's walk of content apart",
  },
  {
    figure: /^embedded: (export|restore), \d+ content, to ipfs/,
    limit: 5,
    side: 'above',
    text: '5 times as fast',
  },
  {
    figure: /^embedded: (export|restore), \d+ index, to ipfs/,
    limit: 2,
    side: 'above',
    text: '2 times as fast',
  },
  {
    figure: /^kubo: (export|restore), \d+ (content|index), to ipfs/,
    limit: 1 / 1.2,
    side: 'above',
    text: "within 1.2 times of the node's own",
  },
  {
    figure: /^embedded: (export|restore), 1000000 .*, memory$/,
    limit: 256,
    side: 'below',
    text: 'under 256 MB',
  },
]
