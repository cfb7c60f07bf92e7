module.exports = async function (req, res) {
process.exit() // Cannot exit VM
process.kill() // Cannot kill processes
process.chdir() // Cannot change directory
process.setuid() // Cannot change user
res.send('not reached');
};
