module.exports = async function (req, res) {
process.env // Environment variables (read-only)
process.version // Node.js version
process.platform // os platform
process.arch // CPU architecture
process.cwd() // Current working directory
res.json([process.env.X, process.version, process.platform, process.arch, process.cwd()]);
};
