const bcrypt = require('bcryptjs');

module.exports = async () => {
  const salt = '$2b$04$abcdefghijklmnopqrstuu';
  const own = await bcrypt.hash('secret', 4);
  return {
    hash: bcrypt.hashSync('correct horse', salt), utf8: await bcrypt.hash('pässwörd', salt),
    compare: [await bcrypt.compare('secret', own), bcrypt.compareSync('other', own)], rounds: bcrypt.getRounds(own),
    salt: bcrypt.getSalt('$2b$04$abcdefghijklmnopqrstuuJ4mDbSXwYKVwHbRLcTDTL1zQvZ1CJDO'), long: bcrypt.truncates('x'.repeat(73)),
  };
};
