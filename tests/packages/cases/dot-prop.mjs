import { getProperty, setProperty, hasProperty, deleteProperty, deepKeys, escapePath } from 'dot-prop';

export default () => {
  const object = { a: { b: [{ c: 1 }] }, 'x.y': 2 };
  const deleted = structuredClone(object);
  return {
    get: [getProperty(object, 'a.b[0].c'), getProperty(object, 'x\\.y'), getProperty(object, 'no.way', 'default')],
    has: [hasProperty(object, 'a.b[0]'), hasProperty(object, 'a.z')],
    set: setProperty({}, 'list[1].n', 5),
    deleted: [deleteProperty(deleted, 'a.b'), deleted],
    keys: deepKeys(object),
    escaped: escapePath('a.b[0]'),
  };
};
