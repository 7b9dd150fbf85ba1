/** A scene: objects of about half a kilobyte as JSON, and some of them anew. */

const WORDS =
  'amber basin cedar delta ember flint grove harbor island jasper kernel lumen meadow north opal prairie quartz ridge summit timber umber valley willow xenon yarrow zephyr'.split(
    ' ',
  )

/** Texts that differ from object to object, as people write them. */
function note(index, version) {
  let state = (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b)) >>> 0
  const words = []
  for (let i = 0; i < 16; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    words.push(WORDS[(state >>> 16) % WORDS.length])
  }
  return words.join(' ')
}

const keyOf = (index) => `object-${index}`

const objectOf = (index, version) => ({
  id: keyOf(index),
  type: 'MESH',
  name: `Cube.${String(index).padStart(5, '0')}`,
  parent: index % 16 === 0 ? null : keyOf(index - (index % 16)),
  location: [index * 0.5, index * -0.25, 1.5 + version],
  rotation: [0, 0.785398, 0],
  scale: [1, 1, 1],
  material: `Material.${String(index % 40).padStart(3, '0')}`,
  modifiers: [
    { type: 'SUBSURF', levels: 2 },
    { type: 'BEVEL', width: 0.02 },
  ],
  visible: true,
  owner: `user-${index % 8}`,
  tags: ['solid', 'movable'],
  version,
  props: { mass: 1.5, friction: 0.5, note: note(index, version) },
})

export function sceneOf(count) {
  const scene = new Map()
  for (let i = 0; i < count; i++) scene.set(keyOf(i), objectOf(i, 0))
  return scene
}

/** This share of all objects, at even distances, as they are from now on. */
export function changesOf(count, share, version) {
  const some = Math.round(count * share)
  const changes = new Map()
  for (let i = 0; i < some; i++) {
    const index = (Math.floor((i * count) / some) + version) % count
    changes.set(keyOf(index), objectOf(index, version))
  }
  return changes
}
