import { createId, init, isCuid, getConstants } from '@paralleldrive/cuid2';

export default () => {
  const ids = new Set(Array.from({ length: 20 }, () => createId()));
  return {
    unique: ids.size, valid: [...ids].every(isCuid), length: createId().length,
    short: init({ length: 10 })().length, first: [...ids].every((id) => /^[a-z]/.test(id)),
    no: isCuid('NOT-ONE'), constants: getConstants(),
  };
};
