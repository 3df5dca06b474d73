//! logboom, the log collector of the service mesh.

fn main() -> anyhow::Result<()> {
    use clap::Parser;

    #[derive(Parser)]
    enum Cli {
        Gen(logboom::generate::GenArgs),
    }
    let Cli::Gen(args) = Cli::parse();
    logboom::generate::run(&args)
}
